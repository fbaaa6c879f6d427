//! A spinner for work without events, such as the observation of the hosts. Short work shows no spinner.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{Report, lock};

/// Work shorter than this needs no spinner.
const PATIENCE: Duration = Duration::from_secs(1);

/// A guard: the spinner ends when the guard is dropped.
pub struct Busy {
    state: Arc<Mutex<State>>,
    bars: MultiProgress,
}

enum State {
    Waiting,
    Spinning(ProgressBar),
    Over,
}

impl Report {
    /// Shows this text with a spinner if the work takes longer than a second. The spinner ends when the returned guard is dropped.
    pub fn busy(&self, what: &str) -> Busy {
        tracing::debug!("{what}");
        let state = Arc::new(Mutex::new(State::Waiting));
        let bars = self.0.bars.clone();
        if self.0.live {
            let (state, bars, what) = (Arc::clone(&state), bars.clone(), what.to_string());
            tokio::spawn(async move {
                tokio::time::sleep(PATIENCE).await;
                let mut state = lock(&state);
                if matches!(*state, State::Waiting) {
                    *state = State::Spinning(spinner(&bars, what));
                }
            });
        }
        Busy { state, bars }
    }
}

fn spinner(bars: &MultiProgress, what: String) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = bars.add(ProgressBar::new_spinner().with_style(style.tick_chars("|/-\\ ")).with_elapsed(PATIENCE));
    bar.set_message(what);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let State::Spinning(bar) = std::mem::replace(&mut *lock(&self.state), State::Over) {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
    }
}
