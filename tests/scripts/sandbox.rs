//! A host that consists of a temporary folder. The commands of clusterctl's steps run with their paths moved into this folder, and with stubs in
//! place of the tools that would act outside of it.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use clusterctl::host::{Cmd, Host, HostError, HostName, Output, Stdin};
use clusterctl::step::{Step, StepError};

use super::law::note;
use super::rewrite::rewrite;
use super::stubs;

/// The ID of the run that holds the lock of a new sandbox.
pub const RUN: &str = "run1";

/// The limit in real time for a script. No script needs longer, because the stub of `sleep` does not wait and only moves the clock of the sandbox.
const LIMIT: Duration = Duration::from_secs(60);
/// The limit in real time for a script under [`Fault::Hangs`]: a script that has not ended by then never will.
const HUNG: Duration = Duration::from_secs(10);

/// The folder of a sandbox with links to the stubs, each under the name of the tool that the stub replaces.
const TOOLS: &str = "/stub/tools";

/// The fault that a row injects. An effect is a call of a tool that changes something, such as `cp`, `mv` or `rm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// The input of the script ends after this many bytes.
    InputEnds(usize),
    /// Another run takes the host's lock after this many bytes of the script's input. Then the rest of the input arrives.
    LockLostInInput(usize),
    /// The process group that causes the N-th effect is killed: the script, or a transient unit that it has started. systemd then ends the unit as
    /// usual.
    KilledAt(usize),
    /// As `KilledAt`, but at the N-th call of a tool that copies (`cp`, `cat`, `head`), after half of the content.
    KilledInside(usize),
    /// The power fails at the N-th effect: every process on the host ends.
    PowerCutAt(usize),
    /// The tool (first value) changes nothing and fails if its last argument matches the shell pattern (second value).
    ToolFails(&'static str, &'static str),
    /// As `ToolFails`, but after the tool has written half of the content.
    DiskFull(&'static str, &'static str),
    /// A file whose path matches the pattern cannot be read.
    ReadFails(&'static str),
    /// A tool that depends on another process or host fails if the arguments of its call match the pattern; see `stubs/trouble`.
    CallFails(&'static str, &'static str),
    /// As `CallFails`, but the call gets no answer: the tool exits after its own time limit, or when `timeout` ends it.
    Hangs(&'static str, &'static str),
    /// The script is killed at the N-th call of a tool that depends on another process or host.
    KilledAtCall(usize),
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Done,
    Refused(String),
    Fenced(String),
    /// The script was killed by the injected fault.
    Killed,
}

impl End {
    /// The message of a step that was refused or fenced; empty if the step was done or killed.
    pub fn said(&self) -> &str {
        match self {
            End::Refused(said) | End::Fenced(said) => said,
            End::Done | End::Killed => "",
        }
    }
}

/// A host of a row. The folder `/stub` contains the files that the stubs read and write.
pub struct Sandbox {
    name: HostName,
    root: PathBuf,
    fault: Mutex<Fault>,
    /// The length of the last command's input, in bytes.
    input: AtomicUsize,
    /// The factor by which waits and time limits are longer than usual, as `--wait-timeout` sets it for slow hosts.
    pub patience: AtomicU32,
}

impl Sandbox {
    /// A host that the run [`RUN`] has locked, with an active kubelet of 1.30 and no static pods.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("clusterctl-scripts.").tempdir().expect("a temporary folder can be made");
        let sandbox = Sandbox {
            name: "m1".into(),
            root: folder.keep(),
            fault: Mutex::new(Fault::None),
            input: AtomicUsize::new(0),
            patience: AtomicU32::new(1),
        };
        for folder in [
            "/run",
            "/proc",
            "/sys/fs/cgroup",
            "/var/log/pods",
            "/etc/kubernetes/manifests",
            "/etc/systemd/system",
            "/stub/units",
            "/stub/pods",
        ] {
            std::fs::create_dir_all(sandbox.path(folder)).expect("a folder can be made");
        }
        stubs::link_into(&sandbox.path(TOOLS)).expect("links can be made");
        for tool in ["etcdctl", "kubectl"] {
            sandbox.link_at(&format!("/usr/local/bin/{tool}"), stubs::folder().join(tool));
        }
        sandbox.write("/var/lib/clusterctl/lock", &format!("{RUN} me\n"));
        for (file, text) in [("clock", "1000000000\n"), ("effects", "0\n"), ("groups", ""), ("log", ""), ("rules", ""), ("images", "")] {
            sandbox.stub(file, text);
        }
        sandbox.kubelet("active");
        sandbox.kubelet_version("v1.30.4");
        sandbox
    }

    /// The path on the test machine that stands for a path on the host.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// As `path`, but as text, for steps that contain the path: the sandbox does not move such a path into its folder.
    pub fn at(&self, path: &str) -> String {
        self.path(path).display().to_string()
    }

    /// Writes a file of the host.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder can be made");
        std::fs::write(path, text).expect("a file can be written");
    }

    /// Writes files of the host, each with its path and its text.
    pub fn write_all(&self, files: &[(&str, &str)]) {
        files.iter().for_each(|(path, text)| self.write(path, text));
    }

    /// Removes a file, or a folder with all that is in it.
    pub fn remove(&self, path: &str) {
        let path = self.path(path);
        let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    }

    /// Makes a symbolic link at `path`, and the folder that contains it.
    pub fn link_at(&self, path: &str, target: impl AsRef<Path>) {
        let at = self.path(path);
        std::fs::create_dir_all(at.parent().expect("a path of a host has a folder")).expect("the sandbox is writable");
        std::os::unix::fs::symlink(target, at).expect("the sandbox is writable");
    }

    /// The text of a file; `None` if the file cannot be read.
    pub fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.path(path)).ok()
    }

    /// The sorted names of everything in a folder, hidden files included; empty if the folder does not exist.
    pub fn list(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(folder)).into_iter().flatten();
        let mut names: Vec<String> = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Writes a file in `/stub`, which a stub reads; the comments in `stubs/` name these files.
    pub fn stub(&self, file: &str, text: &str) {
        self.write(&format!("/stub/{file}"), text);
    }

    /// The log of the stubs, one line per call of a tool.
    pub fn log(&self) -> String {
        self.read("/stub/log").unwrap_or_default()
    }

    /// Sets the state of the kubelet's unit.
    pub fn kubelet(&self, state: &str) {
        self.stub("units/kubelet", &format!("{state}\n"));
    }

    /// Sets the version of the kubelet that runs.
    pub fn kubelet_version(&self, version: &str) {
        self.stub("units/kubelet.MainPID", "4242\n");
        self.program("/proc/4242/exe", &format!("#!/bin/sh\necho 'Kubernetes {version}'\n"));
    }

    /// Writes an executable file of the host.
    pub fn program(&self, path: &str, text: &str) {
        self.write(path, text);
        std::fs::set_permissions(self.path(path), std::fs::Permissions::from_mode(0o755)).expect("a mode can be set");
    }

    /// Sets the fault that applies from now on, and resets the counters of effects and calls.
    pub fn inject(&self, fault: Fault) {
        *self.fault.lock().expect("no case panics") = fault;
        for file in std::fs::read_dir(self.path("/stub")).into_iter().flatten().flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            if name.starts_with("fail-")
                || name.starts_with("hang-")
                || name.starts_with("kill")
                || matches!(name.as_str(), "copies" | "calls")
            {
                let _ = std::fs::remove_file(file.path());
            }
        }
        self.stub("effects", "0\n");
        match fault {
            Fault::KilledAt(n) => self.stub("kill-at", &format!("{n} unit whole\n")),
            Fault::KilledInside(n) => self.stub("kill-at", &format!("{n} unit half\n")),
            Fault::PowerCutAt(n) => self.stub("kill-at", &format!("{n} power whole\n")),
            Fault::ToolFails(tool, pattern) => self.stub(&format!("fail-{tool}"), &format!("{pattern} whole\n")),
            Fault::DiskFull(tool, pattern) => self.stub(&format!("fail-{tool}"), &format!("{pattern} full\n")),
            Fault::ReadFails(pattern) => self.stub("fail-read", &format!("{pattern}\n")),
            Fault::CallFails(tool, pattern) => self.stub(&format!("fail-{tool}"), &format!("{pattern}\n")),
            Fault::Hangs(tool, pattern) => self.stub(&format!("hang-{tool}"), &format!("{pattern}\n")),
            Fault::KilledAtCall(n) => self.stub("kill-at-call", &format!("{n}\n")),
            Fault::None | Fault::InputEnds(_) | Fault::LockLostInInput(_) => {}
        }
    }

    /// How many bytes of input the last command had.
    pub fn input_length(&self) -> usize {
        self.input.load(Ordering::SeqCst)
    }

    /// Whether the injected kill or power cut was reached.
    pub fn was_killed(&self) -> bool {
        self.path("/stub/killed").exists()
    }

    /// Applies a step as clusterctl does, and waits until every transient unit that the step left behind has ended.
    pub fn apply(&self, step: impl Into<Step>) -> End {
        let end = self.apply_alone(step);
        self.settle();
        end
    }

    /// As `apply`, but does not wait for transient units, for rows with a unit that never ends.
    pub fn apply_alone(&self, step: impl Into<Step>) -> End {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
        match runtime.block_on(step.into().apply(self, RUN)) {
            Ok(()) => End::Done,
            Err(StepError::Refused { status: 137, .. }) => End::Killed,
            Err(StepError::Refused { said, .. }) => End::Refused(said),
            Err(StepError::Fenced { said }) => End::Fenced(said),
            Err(StepError::Host(e)) => End::Refused(format!("{e}")),
        }
    }

    /// Runs one command to its end and returns its status and its output.
    pub fn output(&self, cmd: Cmd) -> Output {
        self.carry_out(cmd).expect("the command can be run")
    }

    /// Waits until no transient unit of clusterctl runs, or until [`LIMIT`] has passed.
    pub fn settle(&self) {
        let begun = Instant::now();
        let busy = || self.list("/stub/units").iter().any(|u| u.starts_with("clusterctl-"));
        while busy() && begun.elapsed() < LIMIT && !(self.was_killed() && self.power_was_cut()) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn power_was_cut(&self) -> bool {
        matches!(*self.fault.lock().expect("no case panics"), Fault::PowerCutAt(_))
    }

    /// Runs the stub of the kubelet once, which starts and ends processes as the static pod manifests require. The real kubelet does so after a
    /// while.
    pub fn tick(&self) {
        self.tool("kubelet");
    }

    /// Boots the host again: all processes end, folders in memory such as `/run` are emptied, and the ExecStartPre commands in the drop-ins of the
    /// kubelet's unit run before the kubelet starts.
    pub fn boot(&self) {
        self.inject(Fault::None);
        self.end_processes();
        for folder in ["/run", "/stub/units", "/stub/pods", "/proc", "/sys/fs/cgroup/kubepods"] {
            let _ = std::fs::remove_dir_all(self.path(folder));
        }
        let _ = std::fs::remove_dir_all(self.path("/stub/kubelet.busy"));
        for folder in ["/run", "/proc", "/stub/units", "/stub/pods"] {
            std::fs::create_dir_all(self.path(folder)).expect("a folder can be made");
        }
        self.stub("rules", "");
        self.stub("groups", "");
        self.kubelet_version("v1.30.4");
        for drop_in in self.list("/etc/systemd/system/kubelet.service.d") {
            let text = self.read(&format!("/etc/systemd/system/kubelet.service.d/{drop_in}")).unwrap_or_default();
            for line in text.lines().filter_map(|l| l.strip_prefix("ExecStartPre=-")) {
                let words: Vec<&str> = line.split_whitespace().collect();
                let _ = self.command(words[0]).args(&words[1..]).status();
            }
        }
        self.kubelet("active");
        self.tick();
    }

    fn tool(&self, name: &str) {
        let _ = self.command(stubs::folder().join(name)).status();
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let path = format!("{}:{}:/usr/sbin:/usr/bin:/sbin:/bin", self.at(TOOLS), stubs::folder().display());
        command.env_clear().env("PATH", path).env("STUB", self.path("/stub")).env("ROOT", &self.root).process_group(0);
        command
    }

    fn end_processes(&self) {
        for group in self.read("/stub/groups").unwrap_or_default().split_whitespace() {
            let _ = Command::new("/bin/kill").args(["-KILL", "--", &format!("-{group}")]).stderr(Stdio::null()).status();
        }
    }

    fn carry_out(&self, cmd: Cmd) -> std::io::Result<Output> {
        let root = self.root.display().to_string();
        note(&cmd.argv);
        let argv: Vec<String> = cmd.argv.iter().map(|a| rewrite(a, &root)).collect();
        let fault = *self.fault.lock().expect("no case panics");
        let input = match cmd.stdin {
            Stdin::Bytes(bytes) => bytes.expose().to_vec(),
            Stdin::File { path, offset } => std::fs::read(path)?.split_off(usize::try_from(offset).unwrap_or(usize::MAX)),
            _ => vec![],
        };
        self.input.store(input.len(), Ordering::SeqCst);
        let (out, err) = (self.path("/stub/stdout"), self.path("/stub/stderr"));
        let mut command = self.command(&argv[0]);
        command.args(&argv[1..]).stdin(Stdio::piped()).stdout(std::fs::File::create(&out)?).stderr(std::fs::File::create(&err)?);
        let mut child = command.spawn()?;
        writeln!(std::fs::OpenOptions::new().append(true).open(self.path("/stub/groups"))?, "{}", child.id())?;
        let mut stdin = child.stdin.take().expect("standard input is a pipe");
        // A script may exit before it has read all of its input, so errors of these writes are ignored.
        match fault {
            Fault::InputEnds(n) => drop(stdin.write_all(&input[..n.min(input.len())])),
            Fault::LockLostInInput(n) => {
                let n = n.min(input.len());
                let _ = stdin.write_all(&input[..n]);
                let _ = stdin.flush();
                // The first effect shows that the script has checked the lock in its head and now reads its input, so the other run takes the lock
                // only after it.
                let begun = Instant::now();
                while self.read("/stub/effects").is_none_or(|n| n == "0\n") && begun.elapsed() < LIMIT && child.try_wait()?.is_none() {
                    std::thread::sleep(Duration::from_millis(2));
                }
                self.write("/var/lib/clusterctl/lock", "run2 other\n");
                let _ = stdin.write_all(&input[n..]);
            }
            _ => drop(stdin.write_all(&input)),
        }
        drop(stdin);
        let limit = if matches!(fault, Fault::Hangs(..)) { HUNG } else { LIMIT };
        let begun = Instant::now();
        let status = loop {
            match child.try_wait()? {
                Some(status) => break status,
                None if begun.elapsed() > limit => {
                    self.end_processes();
                    return Err(std::io::Error::other("the script does not end"));
                }
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        let status = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        Ok(Output { status, stdout: std::fs::read(out)?, stderr: std::fs::read(err)? })
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.end_processes();
        if std::env::var_os("CLUSTERCTL_KEEP").is_none() {
            let _ = std::fs::remove_dir_all(&self.root);
        }
    }
}

#[async_trait]
impl Host for Sandbox {
    fn name(&self) -> &HostName {
        &self.name
    }

    async fn run(&self, cmd: Cmd) -> Result<Output, HostError> {
        self.carry_out(cmd.patient(self.patience.load(Ordering::SeqCst))).map_err(|e| HostError::local("the sandbox", e))
    }
}
