//! Runs one command on one channel: sends the input and reads both outputs until the host has closed the channel.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::connect::SessionChannel;
use super::sudo::{Lease, MARK, PROMPT};
use crate::host::{HostError, Stdin};

/// Input is sent in chunks of this size; larger chunks are not faster.
const CHUNK: usize = 256 * 1024;
/// The largest number of bytes that are held for the receiver of `Cmd::tap`. If the receiver falls further behind, the whole connection waits for it.
const TAP_BACKLOG: usize = 64 * 1024 * 1024;
/// The largest number of bytes of the output before `MARK` that are kept for error messages.
const NOISE: usize = 64 * 1024;

/// The time between the kill signal to sudo, which is sent when sudo asks for the password again, and the end of its input. The end of input is for
/// servers that do not forward signals (OpenSSH before 7.9).
const KILL_LIMIT: Duration = Duration::from_secs(2);

type Writer = ChannelWriteHalf<Msg>;

/// The result of a command on a channel.
#[derive(Debug, Default)]
pub struct Ended {
    pub status: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// Standard error and standard output before the mark. Empty if the mark was received.
    pub noise: Vec<u8>,
    /// Whether the mark was received, which means that the command ran with the rights that it needs.
    pub started: bool,
    /// Whether the host closed the channel; otherwise the connection broke.
    pub closed: bool,
    /// Whether the host refused to run the command.
    pub refused: bool,
    /// How often sudo asked for the password.
    pub prompts: u32,
}

/// Why the result of a command is not known.
pub enum ExecFault {
    Timeout,
    /// Input could not be read; the channel was closed before the command got its end of input.
    Input(HostError),
    Lost,
}

/// What `drain`, which reads the channel, reports to `feed`, which writes to the channel.
enum Event {
    Prompt,
    Started,
}

/// Sends the input of the command that was requested on this channel, and reads its output until the command has ended. When the future is dropped or
/// the limit runs out, the session is closed.
pub async fn finish(
    mut session: SessionChannel,
    stdin: Stdin,
    tap: Option<mpsc::Sender<Vec<u8>>>,
    lease: Option<&mut Lease>,
    limit: Duration,
) -> Result<Ended, ExecFault> {
    let Some((read, permit)) = session.incoming.take() else { return Err(ExecFault::Lost) };
    let (tell, events) = mpsc::unbounded_channel();
    let mut drain = tokio::spawn(drain(read, tap, tell, permit));
    session.reader = Some(drain.abort_handle());
    let work = async {
        tokio::select! {
            ended = &mut drain => return ended.map_err(|_| ExecFault::Lost),
            fed = feed(&session.write, stdin, lease, events) => match fed {
                Err(FeedFault::Input(e)) => return Err(ExecFault::Input(e)),
                // The command needs no more input, or the connection is broken: the result of `drain` shows which.
                Ok(()) | Err(FeedFault::Closed) => {}
            },
        }
        drain.await.map_err(|_| ExecFault::Lost)
    };
    timeout(limit, work).await.unwrap_or(Err(ExecFault::Timeout))
}

enum FeedFault {
    Input(HostError),
    Closed,
}

impl From<russh::Error> for FeedFault {
    fn from(_: russh::Error) -> Self {
        FeedFault::Closed
    }
}

/// Sends the password if sudo asks for it, then the command's own input, then the end of input.
async fn feed(
    write: &Writer,
    stdin: Stdin,
    lease: Option<&mut Lease>,
    mut events: mpsc::UnboundedReceiver<Event>,
) -> Result<(), FeedFault> {
    if let Some(lease) = lease {
        let mut asked = false;
        loop {
            match events.recv().await {
                Some(Event::Prompt) if asked => {
                    // sudo is killed at the second question, because leaving the question unanswered would count as a second failure towards a
                    // lockout.
                    write.signal(Sig::KILL).await?;
                    sleep(KILL_LIMIT).await;
                    return Ok(write.eof().await?);
                }
                Some(Event::Prompt) => {
                    asked = true;
                    write.data_bytes([lease.password.expose(), b"\n"].concat()).await?;
                }
                Some(Event::Started) if asked => break lease.prove(),
                Some(Event::Started) => break lease.release(),
                None => return Err(FeedFault::Closed),
            }
        }
    }
    match stdin {
        Stdin::Empty => {}
        Stdin::Bytes(secret) => {
            for chunk in secret.expose().chunks(CHUNK) {
                write.data_bytes(chunk.to_vec()).await?;
            }
        }
        Stdin::File { path, offset } => send_file(write, &path, offset).await?,
        Stdin::Stream(mut chunks) => {
            while let Some(chunk) = chunks.recv().await {
                write.data_bytes(chunk).await?;
            }
        }
    }
    write.eof().await?;
    Ok(())
}

async fn send_file(write: &Writer, path: &Path, offset: u64) -> Result<(), FeedFault> {
    let fault = |e| FeedFault::Input(HostError::local(format!("cannot read `{}`", path.display()), e));
    let mut file = tokio::fs::File::open(path).await.map_err(fault)?;
    file.seek(std::io::SeekFrom::Start(offset)).await.map_err(fault)?;
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        if (&mut file).take(CHUNK as u64).read_to_end(&mut chunk).await.map_err(fault)? == 0 {
            return Ok(());
        }
        write.data_bytes(chunk).await?;
    }
}

/// Reads everything that the host sends, even if nothing waits for the data: one unread channel stalls the whole connection.
async fn drain(
    mut read: ChannelReadHalf,
    tap: Option<mpsc::Sender<Vec<u8>>>,
    tell: mpsc::UnboundedSender<Event>,
    _permit: OwnedSemaphorePermit,
) -> Ended {
    let mut ended = Ended::default();
    let mut tap = tap.map(Backlog::new);
    let (mut out, mut err) = (Lead::default(), Lead::default());
    // Reads to the very end, because the exit status may arrive before the last data.
    while let Some(message) = read.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                let was_started = ended.started;
                let Some(rest) = out.pass(&data) else { continue };
                ended.started = true;
                if !was_started {
                    let _ = tell.send(Event::Started);
                }
                match &mut tap {
                    _ if rest.is_empty() => {}
                    Some(tap) => tap.push(rest).await,
                    None => ended.stdout.extend_from_slice(rest),
                }
            }
            ChannelMsg::ExtendedData { data, ext: 1 } => {
                if let Some(rest) = err.pass(&data) {
                    ended.stderr.extend_from_slice(rest);
                } else if err.take(PROMPT.as_bytes()) {
                    ended.prompts += 1;
                    let _ = tell.send(Event::Prompt);
                }
            }
            ChannelMsg::ExitStatus { exit_status } => ended.status = Some(exit_status as i32),
            ChannelMsg::ExitSignal { signal_name, .. } => ended.status = Some(128 + number(&signal_name)),
            ChannelMsg::Failure => ended.refused = true,
            ChannelMsg::Eof | ChannelMsg::Close => ended.closed = true,
            _ => {}
        }
    }
    if let Some(tap) = tap {
        tap.flush().await;
    }
    if !ended.started {
        ended.noise = [err.before, out.before].concat();
    }
    ended
}

/// Separates the part of an output before the mark, which log-in scripts or sudo print, from the command's own output.
#[derive(Default)]
struct Lead {
    before: Vec<u8>,
    over: bool,
}

impl Lead {
    /// The part of `data` that comes after the mark; `None` as long as the mark has not been received.
    fn pass<'a>(&mut self, data: &'a [u8]) -> Option<&'a [u8]> {
        if self.over {
            return Some(data);
        }
        let held = self.before.len();
        self.before.extend_from_slice(data);
        match find(&self.before, MARK) {
            Some(at) => {
                self.over = true;
                self.before.truncate(at);
                // The mark ends in `data`, because it was not complete in the bytes before `data`. So the subtraction cannot underflow.
                Some(&data[at + MARK.len() - held..])
            }
            None => {
                let surplus = self.before.len().saturating_sub(NOISE);
                self.before.drain(..surplus);
                None
            }
        }
    }

    /// If the output so far contains `text`, removes everything up to the end of `text`. Returns whether `text` was found.
    fn take(&mut self, text: &[u8]) -> bool {
        let found = find(&self.before, text);
        if let Some(at) = found {
            self.before.drain(..at + text.len());
        }
        found.is_some()
    }
}

fn find(data: &[u8], text: &[u8]) -> Option<usize> {
    data.windows(text.len()).position(|w| w == text)
}

/// Holds the output that the receiver of `Cmd::tap` has not taken yet.
struct Backlog {
    queue: mpsc::UnboundedSender<Vec<u8>>,
    room: Arc<Semaphore>,
    pump: JoinHandle<()>,
}

impl Backlog {
    fn new(tap: mpsc::Sender<Vec<u8>>) -> Self {
        let (queue, mut queued) = mpsc::unbounded_channel::<Vec<u8>>();
        let room = Arc::new(Semaphore::new(TAP_BACKLOG));
        let freed = Arc::clone(&room);
        let pump = tokio::spawn(async move {
            while let Some(chunk) = queued.recv().await {
                let size = chunk.len();
                // If nothing receives from the tap any more, the rest of the output is discarded.
                let _ = tap.send(chunk).await;
                freed.add_permits(size);
            }
        });
        Backlog { queue, room, pump }
    }

    async fn push(&mut self, data: &[u8]) {
        if let Ok(permits) = self.room.acquire_many(data.len() as u32).await {
            permits.forget();
        }
        let _ = self.queue.send(data.to_vec());
    }

    async fn flush(self) {
        drop(self.queue);
        let _ = self.pump.await;
    }
}

/// The number of a signal on Linux; 0 if the signal is unknown.
fn number(signal: &Sig) -> i32 {
    match signal {
        Sig::HUP => 1,
        Sig::INT => 2,
        Sig::QUIT => 3,
        Sig::ILL => 4,
        Sig::ABRT => 6,
        Sig::FPE => 8,
        Sig::KILL => 9,
        Sig::USR1 => 10,
        Sig::SEGV => 11,
        Sig::PIPE => 13,
        Sig::ALRM => 14,
        Sig::TERM => 15,
        Sig::Custom(name) => match name.split('@').next() {
            Some("SIGTRAP" | "TRAP") => 5,
            Some("SIGBUS" | "BUS") => 7,
            Some("SIGUSR2" | "USR2") => 12,
            Some("SIGXCPU" | "XCPU") => 24,
            Some("SIGXFSZ" | "XFSZ") => 25,
            Some("SIGSYS" | "SYS") => 31,
            _ => 0,
        },
    }
}
