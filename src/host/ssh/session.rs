//! A connected host: runs commands on its connection, and makes a new connection if the old one broke before a command was started.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::time::sleep;

use super::config::Endpoint;
use super::connect::{Connection, SessionChannel, SessionFault, unreachable};
use super::connector::Connector;
use super::exec::{self, Ended, ExecFault};
use super::sudo::{Mode, Refusal, Refused, line, refusal};
use super::{Sudo, Target};
use crate::host::{Cmd, Host, HostError, HostName, Output};

/// The largest number of new connections that are tried for one command. The pause before each of them is twice as long as the pause before the
/// previous one.
const RECONNECTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// A host that is reached over SSH.
pub struct SshHost {
    name: HostName,
    sudo: Sudo,
    endpoint: Endpoint,
    connection: Mutex<Arc<Connection>>,
    /// A second connection, for a host whose first connection allows only one session, which a long command occupies, such as the one that holds the
    /// lock.
    second: Mutex<Option<Arc<Connection>>>,
    connector: Connector,
}

#[async_trait]
impl Host for SshHost {
    fn name(&self) -> &HostName {
        &self.name
    }

    async fn run(&self, cmd: Cmd) -> Result<Output, HostError> {
        let mode = Mode::of(&cmd, self.sudo, &self.endpoint.user);
        let line = line(&cmd, mode)?;
        // The password is requested before a session is opened, because the operator may need time.
        let mut lease = match mode {
            Mode::Password => Some(self.connector.password().lease().await.map_err(|e| self.no_password(e))?),
            _ => None,
        };
        let (connection, session) = self.start(&line).await?;
        if let Some(tap) = &cmd.tap {
            let _ = tap.try_send(Vec::new());
        }
        let ended = match exec::finish(session, cmd.stdin, cmd.tap, lease.as_mut(), cmd.timeout).await {
            Ok(ended) => ended,
            Err(ExecFault::Timeout) => return Err(HostError::Timeout { limit: cmd.timeout }),
            Err(ExecFault::Input(e)) => return Err(e),
            Err(ExecFault::Lost) => return Err(self.lost(&connection)),
        };
        if ended.refused {
            return Err(self.unreachable("the host refuses to run commands"));
        }
        let said = String::from_utf8_lossy(&ended.noise);
        if let Some(lease) = lease.as_mut().filter(|_| wrong_password(&ended, &said)) {
            lease.refuse(&self.name);
            return Err(self.no_root("the password is wrong".into()));
        }
        let Some(status) = ended.status.filter(|_| ended.closed) else { return Err(self.lost(&connection)) };
        if !ended.started {
            return Err(match refusal(status, ended.prompts > 0, &said) {
                Refusal::Shell(reason) => self.unreachable(&reason),
                Refusal::Root(reason) => self.no_root(reason),
            });
        }
        Ok(Output { status, stdout: ended.stdout, stderr: ended.stderr })
    }
}

/// Whether sudo refused the password: sudo asked for it again, or reported an incorrect attempt.
fn wrong_password(ended: &Ended, said: &str) -> bool {
    !ended.started && (ended.prompts > 1 || said.contains("incorrect password attempt"))
}

impl SshHost {
    pub(super) fn new(target: Target, endpoint: Endpoint, connection: Arc<Connection>, connector: Connector) -> Self {
        let (connection, second) = (Mutex::new(connection), Mutex::new(None));
        SshHost { name: target.name, sudo: target.options.sudo, endpoint, connection, second, connector }
    }

    /// Requests the command on a new session, and on a new connection if necessary. Until the request succeeds, nothing has happened on the host.
    async fn start(&self, line: &str) -> Result<(Arc<Connection>, SessionChannel), HostError> {
        let mut reconnects = 0;
        loop {
            // After the first connection was full once, the next commands use the second connection without trying the first one.
            if self.second.lock().await.is_some()
                && let Some(started) = self.start_beside(line).await?
            {
                return Ok(started);
            }
            let connection = Arc::clone(&*self.connection.lock().await);
            match connection.session(false).await {
                Ok(session) => {
                    if session.write.exec(true, line).await.is_ok() {
                        return Ok((connection, session));
                    }
                }
                Err(SessionFault::Gone) => {}
                Err(SessionFault::Full) => match self.start_beside(line).await? {
                    Some(started) => return Ok(started),
                    None => continue,
                },
                Err(SessionFault::Refused(why)) => return Err(self.unreachable(&why)),
            }
            self.reconnect(&connection, &mut reconnects).await?;
        }
    }

    /// Requests the command on the second connection, which is made when it is first needed; `None` if that connection broke before the request.
    async fn start_beside(&self, line: &str) -> Result<Option<(Arc<Connection>, SessionChannel)>, HostError> {
        let connection = {
            let mut second = self.second.lock().await;
            match second.as_ref().filter(|c| c.is_alive()) {
                Some(connection) => Arc::clone(connection),
                None => Arc::clone(second.insert(self.connector.open(&self.endpoint).await?)),
            }
        };
        match connection.session(true).await {
            Ok(session) if session.write.exec(true, line).await.is_ok() => Ok(Some((connection, session))),
            Err(SessionFault::Refused(why)) => Err(self.unreachable(&why)),
            _ => Ok(None),
        }
    }

    /// Replaces a broken connection, unless another command has done so meanwhile.
    async fn reconnect(&self, broken: &Arc<Connection>, reconnects: &mut u32) -> Result<(), HostError> {
        let mut current = self.connection.lock().await;
        if !Arc::ptr_eq(&current, broken) {
            return Ok(());
        }
        loop {
            if *reconnects == RECONNECTS {
                return Err(self.unreachable(&broken.end().unwrap_or_else(|| "the connection broke".into())));
            }
            sleep(FIRST_PAUSE * 2u32.pow(*reconnects)).await;
            *reconnects += 1;
            match self.connector.open(&self.endpoint).await {
                Ok(connection) => {
                    *current = connection;
                    return Ok(());
                }
                Err(HostError::Unreachable { .. }) if *reconnects < RECONNECTS => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// The error for a connection that broke after the command was requested. The command is not repeated, because it may have taken effect.
    fn lost(&self, connection: &Connection) -> HostError {
        let why = connection.end().unwrap_or_else(|| "the connection broke".into());
        self.unreachable(&format!("{why}, while a command was running; whether it took effect is unknown"))
    }

    fn unreachable(&self, why: &str) -> HostError {
        unreachable(&self.endpoint, why)
    }

    fn no_root(&self, reason: String) -> HostError {
        HostError::Sudo { user: self.endpoint.user.clone(), address: self.endpoint.address.clone(), reason }
    }

    fn no_password(&self, e: Refused) -> HostError {
        match e {
            Refused::Because(reason) => self.no_root(reason),
            Refused::Failed(e) => e,
        }
    }
}
