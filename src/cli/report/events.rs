//! Takes a run's events and shows each at once: as bars, as lines or as JSON.

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use super::bars::Bars;
use super::lines::Lines;
use super::{Report, json, log};
use crate::run::Event;

/// Without bars, the running steps are printed again after this time without an event, so that silence is not mistaken for a hang.
const REMINDER: Duration = Duration::from_secs(30);

/// How events are shown.
enum View {
    /// As bars, for a person at a terminal.
    Bars(Bars),
    /// As lines, for a file or a pipe.
    Lines(Lines),
    /// As JSON, for a program.
    Json,
}

impl Report {
    /// Starts a task that shows the events of a run, and returns the channel for these events. The task ends when the last sender is dropped and all
    /// events are shown.
    pub fn events(&self) -> (UnboundedSender<Event>, JoinHandle<()>) {
        let (sender, receiver) = unbounded_channel();
        let view = match (self.json(), self.0.live) {
            (true, _) => View::Json,
            (_, true) => View::Bars(Bars::new(self.0.bars.clone())),
            (_, false) => View::Lines(Lines::default()),
        };
        (sender, tokio::spawn(self.clone().consume(receiver, view)))
    }

    async fn consume(self, mut receiver: UnboundedReceiver<Event>, mut view: View) {
        loop {
            match tokio::time::timeout(REMINDER, receiver.recv()).await {
                Ok(None) => break,
                Ok(Some(event)) => self.show(&mut view, &event),
                Err(_) => {
                    if let View::Lines(lines) = &view {
                        self.print_err(&lines.reminder());
                    }
                }
            }
            // The next step of a host starts right after the previous one. All events that have arrived are shown before idle hosts are removed from
            // the bars, so that the line of such a host does not vanish between its steps.
            while let Ok(event) = receiver.try_recv() {
                self.show(&mut view, &event);
            }
            if let View::Bars(bars) = &mut view {
                bars.settle();
            }
        }
        if let View::Bars(bars) = &mut view {
            bars.clear();
        }
    }

    fn show(&self, view: &mut View, event: &Event) {
        log::event(event);
        match view {
            View::Bars(bars) => {
                if let Some(line) = bars.show(event) {
                    self.print_err(&line);
                }
            }
            View::Lines(lines) => self.print_err(&lines.show(event)),
            View::Json => self.tell(json::event(event), ""),
        }
    }
}
