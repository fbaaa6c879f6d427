//! Tests of `reach.sh`, which tries the connections between hosts: what listens and what does not is told apart, and nothing listens after the script.
//! The script runs with the real tools of this machine, on its loopback address.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};

use clusterctl::facts::reach::{Question, READY, Reached, TRIED, parse, request};

use super::law::note;
use super::table::Table;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A script that runs, as a host runs it for clusterctl.
struct Running {
    child: Child,
    input: ChildStdin,
    output: BufReader<std::process::ChildStdout>,
    said: String,
}

impl Running {
    fn begin(question: &Question) -> Self {
        let cmd = request(HERE, question);
        note(&cmd.argv);
        let mut command = Command::new(&cmd.argv[0]);
        let mut child = command.args(&cmd.argv[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sh can be run");
        let (input, output) = (child.stdin.take().expect("it is a pipe"), child.stdout.take().expect("it is a pipe"));
        Running { child, input, output: BufReader::new(output), said: String::new() }
    }

    fn read_until(&mut self, end: &str) {
        while !self.said.lines().any(|line| line == end) {
            let length = self.said.len();
            self.output.read_line(&mut self.said).expect("the script prints text");
            assert!(self.said.len() > length, "the script ended before it printed {end}: {}", self.said);
        }
    }

    fn send(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("the script reads its input");
    }

    fn end(mut self) -> Reached {
        drop(self.input);
        self.output.read_to_string(&mut self.said).expect("the script prints text");
        self.child.wait().expect("the script ends");
        parse(&self.said)
    }
}

/// A port on which nothing listens.
fn free_port() -> u16 {
    let listener = TcpListener::bind((HERE, 0)).expect("the loopback address has a free port");
    listener.local_addr().expect("it has an address").port()
}

fn connects_to(port: u16) -> Question {
    Question { connect: BTreeSet::from([(HERE, port)]), ..Question::default() }
}

/// The answer of a host that tries one connection.
fn tried(port: u16) -> Reached {
    let mut host = Running::begin(&connects_to(port));
    host.read_until(READY);
    host.send("try");
    host.read_until(TRIED);
    host.end()
}

fn judged(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

pub fn table(t: &mut Table) {
    t.row("the other host listens -> nothing is blocked, and afterwards nothing listens", || {
        let port = free_port();
        let mut other = Running::begin(&Question { listen: BTreeSet::from([port]), ..Question::default() });
        other.read_until(READY);
        let answer = tried(port);
        let other = other.end();
        judged(other.listens == BTreeSet::from([port]) && answer == Reached::default(), || format!("{other:?} {answer:?}"))?;
        judged(TcpStream::connect((HERE, port)).is_err(), || "something still listens".into())
    });
    t.row("nothing listens -> the connection is refused", || {
        let port = free_port();
        let answer = tried(port);
        judged(answer.blocked.get(&(HERE, port)).is_some_and(|why| why == "refused"), || format!("{answer:?}"))
    });
    t.row("another program holds one of the ports -> the host listens on none", || {
        let held = TcpListener::bind((HERE, 0)).expect("the loopback address has a free port");
        let port = held.local_addr().expect("it has an address").port();
        let listen = BTreeSet::from([port, free_port()]);
        let mut host = Running::begin(&Question { listen, ..Question::default() });
        host.read_until(READY);
        let answer = host.end();
        judged(answer.listens.is_empty(), || format!("{answer:?}"))
    });
    t.row("this host itself -> no gateway", || {
        let mut host = Running::begin(&Question { beside: BTreeSet::from([HERE]), ..Question::default() });
        host.read_until(READY);
        host.send("try");
        host.read_until(TRIED);
        let answer = host.end();
        judged(answer == Reached::default(), || format!("{answer:?}"))
    });
}
