//! The client side of the SSH protocol: checks the host's key, refuses every channel that the host wants to open, and records why the connection
//! ended.

use std::sync::{Arc, Mutex};

use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::keys::{PublicKey, PublicKeyOrCertificate};
use russh::{Channel, ChannelId};

use super::host_key::Expectation;
use crate::host::HostError;

/// Handles the messages of the host that concern the whole connection: its host key, its disconnect, and channels that it wants to open.
pub struct Client {
    expectation: Expectation,
    accepted: Option<PublicKey>,
    ended: Ended,
}

/// The reason why a connection ended. It is `None` as long as no reason is known. Clones share the reason.
#[derive(Clone, Default)]
pub struct Ended(Arc<Mutex<Option<String>>>);

impl Ended {
    pub fn reason(&self) -> Option<String> {
        self.0.lock().ok()?.clone()
    }

    fn set(&self, reason: String) {
        if let Ok(mut slot) = self.0.lock() {
            slot.get_or_insert(reason);
        }
    }
}

/// Why a connection was not established, or broke.
#[derive(Debug)]
pub enum Fault {
    HostKey(HostError),
    Ssh(russh::Error),
}

impl From<russh::Error> for Fault {
    fn from(e: russh::Error) -> Self {
        Fault::Ssh(e)
    }
}

impl Client {
    pub fn new(expectation: Expectation, ended: Ended) -> Self {
        Client { expectation, accepted: None, ended }
    }
}

/// Defines the handlers of channels that the host wants to open. The types in parentheses are those of the arguments that russh passes about such a
/// channel. By default, russh accepts the channel; these handlers drop the reply, which refuses the channel.
macro_rules! refuse {
    ($($opened:ident($($told:ty),*);)+) => {$(
        async fn $opened(&mut self, _: Channel<Msg>, $(_: $told,)* _: ChannelOpenHandle, _: &mut Session) -> Result<(), Fault> {
            Ok(())
        }
    )+};
}

/// Nothing is ever forwarded to this client, so every channel that the host wants to open is refused.
impl Handler for Client {
    type Error = Fault;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Fault> {
        let key = shown.public_key();
        // The host key is checked again at every key exchange: the host must still have the same key.
        if let Some(accepted) = &self.accepted {
            return Ok(*accepted == key);
        }
        self.expectation.check(shown).map_err(Fault::HostKey)?;
        self.accepted = Some(key);
        Ok(true)
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Fault>) -> Result<(), Fault> {
        match reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                self.ended.set(format!("the host hung up: {}", info.message.trim()));
                Ok(())
            }
            DisconnectReason::Error(fault) => {
                self.ended.set(match &fault {
                    Fault::HostKey(e) => e.to_string(),
                    Fault::Ssh(e) => e.to_string(),
                });
                Err(fault)
            }
        }
    }

    refuse! {
        server_channel_open_session();
        server_channel_open_agent_forward();
        server_channel_open_x11(&str, u32);
        server_channel_open_forwarded_tcpip(&str, u32, &str, u32);
        server_channel_open_direct_tcpip(&str, u32, &str, u32);
        server_channel_open_forwarded_streamlocal(&str);
        server_channel_open_direct_streamlocal(&str);
    }

    async fn should_accept_unknown_server_channel(&mut self, _: ChannelId, _: &str) -> bool {
        false
    }
}
