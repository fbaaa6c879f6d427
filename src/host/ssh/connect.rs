//! One connection: TCP (or a channel through a jump host, or a ProxyCommand), key exchange, host key, log-in.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{Config, Handle, Msg, connect_stream};
use russh::{Channel, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use super::auth::{AuthFault, log_in};
use super::client::{Client, Ended, Fault};
use super::config::{Endpoint, Via, expand_command};
use super::host_key::Expectation;
use super::keyring::KeyRing;
use super::known_hosts::KnownHosts;
use crate::host::HostError;

/// The largest number of commands that run on one connection at the same time. OpenSSH allows 10 (MaxSessions), but it counts a session until its
/// process has exited.
const SESSIONS: usize = 4;
/// The largest number of log-ins through one jump host at the same time. It is below the 10 unauthenticated connections at which sshd starts to drop
/// some (MaxStartups).
const HANDSHAKES: usize = 5;
/// How long a host may be silent before the client asks it for a sign of life. After three requests without an answer, the connection is given up.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// How long the request for a session is repeated if the host refuses it although no other session of the connection is open. After that, the command
/// fails.
const REFUSED_SESSION_LIMIT: Duration = Duration::from_secs(10);
/// How long the request for a session is repeated if the host refuses it while other sessions of the connection are open. After that, the connection
/// counts as full.
const FULL_LIMIT: Duration = Duration::from_secs(2);

/// A logged-in connection.
pub struct Connection {
    handle: Handle<Client>,
    sessions: Arc<Semaphore>,
    handshakes: Semaphore,
    ended: Ended,
    /// Keeps the connection to the jump host open.
    _via: Option<Arc<Connection>>,
}

/// A session channel, which is closed if it is dropped before its end.
pub struct SessionChannel {
    pub write: Arc<ChannelWriteHalf<Msg>>,
    /// The reading half of the channel, and the permit that counts the session. `None` after they were moved to the task that reads the channel to
    /// its end.
    pub incoming: Option<(ChannelReadHalf, OwnedSemaphorePermit)>,
    /// The task that reads the channel. It cannot notice that the channel was closed on this side, so `drop` aborts it.
    pub reader: Option<AbortHandle>,
}

impl SessionChannel {
    fn new(channel: Channel<Msg>, permit: OwnedSemaphorePermit) -> Self {
        let (read, write) = channel.split();
        SessionChannel { write: Arc::new(write), incoming: Some((read, permit)), reader: None }
    }
}

impl Drop for SessionChannel {
    /// Closes the channel. The host keeps running the command, but its output is not read any more.
    fn drop(&mut self) {
        if let Some(reader) = &self.reader {
            if reader.is_finished() {
                return;
            }
            reader.abort();
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let write = Arc::clone(&self.write);
            runtime.spawn(async move { write.close().await });
        }
    }
}

/// Why no session was opened.
pub enum SessionFault {
    /// The connection is broken; nothing was started.
    Gone,
    /// The host opens no further session while other sessions of the connection are open; nothing was started.
    Full,
    Refused(String),
}

impl Connection {
    /// Connects and logs in. `via` is the connection to the jump host, if the endpoint has one.
    pub async fn open(endpoint: &Endpoint, keys: &KeyRing, via: Option<Arc<Connection>>) -> Result<Self, AuthFault> {
        let known = KnownHosts::read(&endpoint.known_hosts).await?;
        let expectation = Expectation::new(known, endpoint);
        let ended = Ended::default();
        let turn = match &via {
            Some(jump) => jump.handshakes.acquire().await.ok(),
            None => None,
        };
        let shake = shake_hands(endpoint, keys, via.as_deref(), expectation, ended.clone());
        let handle = match timeout(endpoint.connect_timeout, shake).await {
            Ok(done) => done?,
            Err(_) => return Err(unreachable(endpoint, format!("no answer within {} s", endpoint.connect_timeout.as_secs_f32())).into()),
        };
        drop(turn);
        Ok(Connection { handle, sessions: Arc::new(Semaphore::new(SESSIONS)), handshakes: Semaphore::new(HANDSHAKES), ended, _via: via })
    }

    pub fn is_alive(&self) -> bool {
        !self.handle.is_closed()
    }

    /// Why the connection ended. `None` if no reason is known, in particular while the connection is open.
    pub fn end(&self) -> Option<String> {
        self.ended.reason()
    }

    /// Opens a session as soon as fewer than `SESSIONS` sessions are open. If the host allows fewer sessions, the function waits until one of them
    /// has ended. Unless `patient` is set, it gives up after `FULL_LIMIT`.
    pub async fn session(self: &Arc<Self>, patient: bool) -> Result<SessionChannel, SessionFault> {
        let connection = Arc::clone(self);
        // The opening runs in a task of its own, because a channel whose opening is cancelled half-way could never be closed.
        tokio::spawn(async move { connection.open_session(patient).await }).await.unwrap_or(Err(SessionFault::Gone))
    }

    async fn open_session(&self, patient: bool) -> Result<SessionChannel, SessionFault> {
        let permit = Arc::clone(&self.sessions).acquire_owned().await.map_err(|_| SessionFault::Gone)?;
        let mut pause = Duration::from_millis(50);
        let mut alone_since = None;
        let began = Instant::now();
        loop {
            let refusal = match self.handle.channel_open_session().await {
                Ok(channel) => return Ok(SessionChannel::new(channel, permit)),
                Err(russh::Error::ChannelOpenFailure(refusal)) => refusal,
                Err(_) => return Err(SessionFault::Gone),
            };
            // While other sessions are open, the refusal may only mean that the host allows fewer sessions than `SESSIONS`.
            let alone = self.sessions.available_permits() == SESSIONS - 1;
            let since: Instant = *alone_since.get_or_insert_with(Instant::now);
            if !alone {
                alone_since = None;
                if !patient && began.elapsed() > FULL_LIMIT {
                    return Err(SessionFault::Full);
                }
            } else if since.elapsed() > REFUSED_SESSION_LIMIT || refusal == ChannelOpenFailure::AdministrativelyProhibited {
                return Err(SessionFault::Refused(format!("the host refuses to open a session: {refusal:?}")));
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }
}

async fn shake_hands(
    endpoint: &Endpoint,
    keys: &KeyRing,
    via: Option<&Connection>,
    expectation: Expectation,
    ended: Ended,
) -> Result<Handle<Client>, AuthFault> {
    let config = Arc::new(Config {
        preferred: expectation.preferred(),
        keepalive_interval: Some(KEEPALIVE),
        keepalive_max: 3,
        nodelay: true,
        ..Config::default()
    });
    let client = Client::new(expectation, ended);
    let connected = match (&endpoint.via, via) {
        (Via::Command(command), _) => connect_stream(config, run_proxy(command, endpoint)?, client).await,
        (_, Some(jump)) => connect_stream(config, through(jump, endpoint).await?, client).await,
        (_, None) => connect_stream(config, dial(endpoint).await?, client).await,
    };
    let mut handle = connected.map_err(|fault| match fault {
        Fault::HostKey(e) => e,
        Fault::Ssh(e) => unreachable(endpoint, e),
    })?;
    log_in(&mut handle, endpoint, keys).await?;
    Ok(handle)
}

async fn dial(endpoint: &Endpoint) -> Result<TcpStream, HostError> {
    let stream = TcpStream::connect((endpoint.hostname.as_str(), endpoint.port)).await.map_err(|e| unreachable(endpoint, e))?;
    // Without TCP_NODELAY, a series of short commands takes 18 times as long.
    stream.set_nodelay(true).map_err(|e| unreachable(endpoint, e))?;
    Ok(stream)
}

async fn through(jump: &Connection, endpoint: &Endpoint) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static, HostError> {
    match jump.handle.channel_open_direct_tcpip(&endpoint.hostname, endpoint.port.into(), "127.0.0.1", 0).await {
        Ok(channel) => Ok(channel.into_stream()),
        Err(e) => Err(unreachable(endpoint, format!("the jump host does not get through: {e}"))),
    }
}

/// Starts the operator's ProxyCommand, and returns its output and input as a stream. When the stream is dropped, the command gets an end of input, at
/// which it should exit.
fn run_proxy(command: &str, endpoint: &Endpoint) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + 'static, HostError> {
    let fault = |e| HostError::local(format!("cannot run the ProxyCommand of `{}`", endpoint.address), e);
    let line = format!("exec {}", expand_command(command, endpoint)?);
    let mut child = tokio::process::Command::new("/bin/sh")
        .args(["-c", &line])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(fault)?;
    match (child.stdout.take(), child.stdin.take()) {
        (Some(from), Some(to)) => Ok(tokio::io::join(from, to)),
        _ => Err(fault(std::io::ErrorKind::BrokenPipe.into())),
    }
}

pub fn unreachable(endpoint: &Endpoint, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> HostError {
    HostError::Unreachable { address: format!("{}:{}", endpoint.address, endpoint.port), source: Some(source.into()) }
}
