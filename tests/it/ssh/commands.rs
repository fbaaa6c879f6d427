//! Commands on a connection: outcomes, input, output, limits, many at once, and what happens when the connection breaks.

use std::path::Path;
use std::time::{Duration, Instant};

use clusterctl::host::ssh::SshHost;
use clusterctl::host::{Cmd, Host, HostError, Output, Secret, Stdin};
use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tokio::sync::mpsc;

use super::sshd::{Sshd, command, connector, script};
use crate::needs::needs;

const MIB: usize = 1024 * 1024;

async fn host(sshd: &Sshd) -> SshHost {
    connector().connect(sshd.target()).await.unwrap()
}

fn sh(text: &'static str) -> Cmd {
    script(text, [] as [&str; 0])
}

/// Test data of this size in bytes. Its bytes differ, so that a piece that is lost or in the wrong place is noticed.
fn noise(size: usize) -> Vec<u8> {
    (0..size as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

#[tokio::test]
async fn statuses_and_outputs() {
    needs!(Sshd);
    let sshd = Sshd::start().known();
    let host = host(&sshd).await;
    let said = |status, stdout: &str, stderr: &str| Output { status, stdout: stdout.into(), stderr: stderr.into() };
    assert_eq!(host.run(sh("echo out; echo err >&2; exit 7")).await.unwrap(), said(7, "out\n", "err\n"));
    assert_eq!(host.run(sh("exit 255")).await.unwrap(), said(255, "", ""));
    assert_eq!(host.run(sh("kill -9 $$")).await.unwrap(), said(137, "", ""));
    assert_eq!(host.run(sh("kill -TERM $$")).await.unwrap(), said(143, "", ""));
    assert_eq!(host.run(sh("kill -USR2 $$")).await.unwrap(), said(140, "", ""));
    assert_eq!(host.run(command(["no-such-program"])).await.unwrap().status, 127);
    assert_eq!(host.run(command(["/etc/passwd"])).await.unwrap().status, 126);
    assert!(matches!(host.run(command(["-x"])).await, Err(HostError::Local { .. })));
    assert!(matches!(host.run(command(["echo", "a\0b"])).await, Err(HostError::Local { .. })));
    let long = |size| command(["printf".to_string(), "%.3s".to_string(), "x".repeat(size)]);
    assert_eq!(host.run(long(125_000)).await.unwrap(), said(0, "xxx", ""));
    assert!(matches!(host.run(long(131_072)).await, Err(HostError::Local { .. })));
    assert_eq!(host.run(sh("echo $LC_ALL; cat")).await.unwrap(), said(0, "C\n", ""));
}

/// The host's proxy variables, except no_proxy, reach a command only if it is made with `with_proxies`, as commands that download are.
#[tokio::test]
async fn proxies_of_the_host() {
    needs!(Sshd);
    let sshd = Sshd::with("SetEnv HOME=/nonexistent https_proxy=http://127.0.0.1:1 ALL_PROXY=x no_proxy=example.org").known();
    let host = host(&sshd).await;
    let show = || sh("echo \"$https_proxy $ALL_PROXY $no_proxy\"");
    assert_eq!(host.run(show()).await.unwrap().stdout, b"  example.org\n");
    assert_eq!(host.run(show().with_proxies()).await.unwrap().stdout, b"http://127.0.0.1:1 x example.org\n");
}

/// Values full of characters that shells interpret reach the program unchanged, and start nothing.
#[tokio::test]
async fn arguments_are_data() {
    needs!(Sshd);
    let sshd = Sshd::start().known();
    let host = host(&sshd).await;
    let canary = sshd.path("canary");
    let touch = format!("touch {}", canary.display());
    let bait = [
        format!("$({touch})"),
        format!("`{touch}`"),
        format!("; {touch}"),
        format!("\n{touch}\n"),
        format!("' {touch} '"),
        format!("\"; {touch} #"),
        format!("\\'; {touch}; \\"),
        "-rf".into(),
        "../../*".into(),
        "$HOME ~ {a,b} !!".into(),
        "日本 🦀".into(),
        "\r\t\u{1b}".into(),
        "\u{1e}clusterctl\u{1e}".into(),
        String::new(),
    ];
    let mut runner = TestRunner::default();
    let any = "[^\0]{0,12}";
    let more = (0..1500).map(|_| any.new_tree(&mut runner).unwrap().current());
    let values: Vec<String> = bait.into_iter().chain(more).collect();
    for chunk in values.chunks(100) {
        let argv = ["printf", "%s\\0"].into_iter().map(String::from).chain(chunk.iter().cloned());
        let output = host.run(command(argv)).await.unwrap();
        let expected: Vec<u8> = chunk.iter().flat_map(|v| v.bytes().chain([0])).collect();
        assert_eq!(output.stdout, expected);
        let output = host.run(script("printf '%s\\0' \"$@\"", chunk.iter().cloned())).await.unwrap();
        assert_eq!(output.stdout, expected);
    }
    assert!(!canary.exists());
}

#[tokio::test]
async fn a_lot_both_ways_at_once() {
    needs!(Sshd);
    let sshd = Sshd::start().known();
    let host = host(&sshd).await;
    let data = noise(64 * MIB);
    let output = host.run(sh("cat; echo done >&2").stdin(data.clone())).await.unwrap();
    assert_eq!((output.status, output.stderr.as_slice()), (0, b"done\n".as_slice()));
    assert!(output.stdout == data);
}

#[tokio::test]
async fn input_from_a_file_at_an_offset() {
    needs!(Sshd);
    let sshd = Sshd::start().known();
    let host = host(&sshd).await;
    let data = noise(3 * MIB + 17);
    std::fs::write(sshd.path("data"), &data).unwrap();
    let from = |offset| Cmd { stdin: Stdin::File { path: sshd.path("data"), offset }, ..sh("cat") };
    assert!(host.run(from(0)).await.unwrap().stdout == data);
    assert!(host.run(from(MIB as u64 + 3)).await.unwrap().stdout == data[MIB + 3..]);
    // The command must not run as if a file that cannot be read were an empty input.
    let missing = Cmd { stdin: Stdin::File { path: sshd.path("missing"), offset: 0 }, ..sh("cat; touch \"$1\"") };
    assert!(matches!(host.run(missing).await, Err(HostError::Local { .. })));
}

#[tokio::test]
async fn a_stream_each_way() {
    needs!(Sshd);
    let sshd = Sshd::start().known();
    let host = host(&sshd).await;
    let (input, stdin) = mpsc::channel(1);
    let (tap, mut output) = mpsc::channel(1);
    let cmd = Cmd { stdin: Stdin::Stream(stdin), tap: Some(tap), ..sh("while read -r line; do echo \"got $line\"; done") };
    let talk = async {
        assert_eq!(output.recv().await.unwrap(), b"", "an empty chunk tells that the command was requested");
        for word in ["one", "two", "three"] {
            input.send(format!("{word}\n").into_bytes()).await.unwrap();
            // Each line of output arrives before the next line of input is sent.
            assert_eq!(output.recv().await.unwrap(), format!("got {word}\n").into_bytes());
        }
        drop(input);
        assert_eq!(output.recv().await, None);
    };
    let (result, ()) = tokio::join!(host.run(cmd), talk);
    assert_eq!(result.unwrap(), Output::default());
}

/// A tap sends the output of a command to a reader while the command runs. A slow reader does not hold up other commands.
#[tokio::test]
async fn a_slow_tap() {
    needs!(Sshd);
    let sshd = Sshd::start().known();
    let host = host(&sshd).await;
    let (tap, mut output) = mpsc::channel(1);
    let cmd = Cmd { tap: Some(tap), ..sh("head -c 33554432 /dev/zero") };
    let slow = async {
        let mut size = output.recv().await.unwrap().len();
        for _ in 0..3 {
            assert_eq!(host.run(sh("echo hi").timeout(Duration::from_secs(20))).await.unwrap().stdout, b"hi\n");
        }
        while let Some(chunk) = output.recv().await {
            size += chunk.len();
        }
        assert_eq!(size, 32 * MIB);
    };
    let (result, ()) = tokio::join!(host.run(cmd), slow);
    assert_eq!(result.unwrap().status, 0);
}

/// A command is over when its program exits, even if the program has not read its input.
#[tokio::test]
async fn unread_input() {
    needs!(Sshd);
    let sshd = Sshd::start().known();
    let host = host(&sshd).await;
    let output = host.run(sh("exec 0<&-; echo hi; exit 3").stdin(noise(16 * MIB))).await.unwrap();
    assert_eq!((output.status, output.stdout.as_slice()), (3, b"hi\n".as_slice()));
}

#[tokio::test]
async fn a_limit() {
    needs!(Sshd);
    let sshd = Sshd::start().known();
    let host = host(&sshd).await;
    let begun = Instant::now();
    let error = host.run(sh("sleep 30").timeout(Duration::from_millis(300))).await.err().unwrap();
    assert!(matches!(error, HostError::Timeout { limit } if limit == Duration::from_millis(300)));
    assert!(begun.elapsed() < Duration::from_secs(10));
    // The connection still works, and a limit counts from the start of its command: only a few of the 13 commands run at the same time, so the last
    // one ends after eight seconds, and its limit of seven seconds must not end it.
    let all = join_all((0..13).map(|_| host.run(sh("sleep 2; echo hi").timeout(Duration::from_secs(7))))).await;
    assert!(all.into_iter().all(|o| o.unwrap().stdout == b"hi\n"));
}

#[tokio::test]
async fn twenty_at_once() {
    needs!(Sshd);
    for more in ["MaxSessions 10", "MaxSessions 2"] {
        let sshd = Sshd::with(more).known();
        let host = host(&sshd).await;
        let all = join_all((0..20).map(|i| host.run(command(["echo".to_string(), i.to_string()])))).await;
        for (i, output) in all.into_iter().enumerate() {
            assert_eq!(output.unwrap().stdout, format!("{i}\n").into_bytes());
        }
    }
}

/// A command that runs for long, as the lock of a run does, takes the only session that the host allows on a connection. The other commands use a
/// second connection.
#[tokio::test]
async fn beside_one_that_lasts() {
    needs!(Sshd);
    let sshd = Sshd::with("MaxSessions 1").known();
    let host = host(&sshd).await;
    let (input, stdin) = mpsc::channel::<Vec<u8>>(1);
    let lasts = host.run(Cmd { stdin: Stdin::Stream(stdin), ..sh("cat") });
    let others = async {
        for _ in 0..2 {
            let all = join_all((0..3).map(|i| host.run(command(["echo".to_string(), i.to_string()])))).await;
            for (i, output) in all.into_iter().enumerate() {
                assert_eq!(output.unwrap().stdout, format!("{i}\n").into_bytes());
            }
        }
        input.send(b"still here".to_vec()).await.unwrap();
        drop(input);
    };
    let (lasted, ()) = tokio::time::timeout(Duration::from_secs(60), async { tokio::join!(lasts, others) }).await.expect("it ends");
    assert_eq!(lasted.unwrap().stdout, b"still here");
    assert_eq!(sshd.log().matches("Accepted publickey").count(), 2);
}

/// If the future of a running command is dropped, the SSH channel of the command is closed, so that later commands can open theirs.
#[tokio::test]
async fn runs_that_are_given_up() {
    needs!(Sshd);
    let sshd = Sshd::start().known();
    let host = host(&sshd).await;
    for _ in 0..12 {
        let run = host.run(sh("cat").timeout(Duration::from_secs(60)));
        let (_input, stdin) = mpsc::channel::<Vec<u8>>(1);
        let held = host.run(Cmd { stdin: Stdin::Stream(stdin), ..sh("cat") });
        let _ = tokio::time::timeout(Duration::from_millis(30), async { tokio::join!(run, held) }).await;
    }
    assert_eq!(host.run(sh("echo hi")).await.unwrap().stdout, b"hi\n");
}

#[tokio::test]
async fn a_cut_in_mid_command_is_told_and_not_repeated() {
    needs!(Sshd);
    let sshd = Sshd::start().known();
    let host = host(&sshd).await;
    let count = sshd.path("count").display().to_string();
    let text = "echo x >>\"$1\"; sleep 5; echo y >>\"$1\"";
    let run = host.run(script(text, [count.clone()]));
    let cut = async {
        while !Path::new(&count).exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        sshd.kill_sessions();
    };
    let (result, ()) = tokio::join!(run, cut);
    let error = result.err().unwrap();
    let HostError::Unreachable { source: Some(source), .. } = &error else { panic!("{error:?}") };
    assert!(source.to_string().contains("whether it took effect is unknown"), "{source}");
    // The next command uses a new connection.
    assert_eq!(host.run(sh("echo hi")).await.unwrap().stdout, b"hi\n");
    assert_eq!(sshd.read("count").matches('x').count(), 1);
}

#[tokio::test]
async fn a_cut_between_commands_goes_unnoticed() {
    needs!(Sshd);
    let mut sshd = Sshd::start().known();
    let host = host(&sshd).await;
    host.run(sh("true")).await.unwrap();
    sshd.restart();
    let all = join_all((0..6).map(|_| host.run(sh("echo hi")))).await;
    assert!(all.into_iter().all(|o| o.unwrap().stdout == b"hi\n"));
    assert_eq!(sshd.log().matches("Accepted publickey").count(), 2);
    sshd.kill();
    let begun = Instant::now();
    assert!(matches!(host.run(sh("true")).await, Err(HostError::Unreachable { .. })));
    assert!(begun.elapsed() < Duration::from_secs(30));
}

/// What a log-in script prints is not part of the command's output.
#[tokio::test]
async fn noise_of_the_log_in_shell() {
    needs!(Sshd);
    let folder = tempfile::tempdir().unwrap();
    let shell = folder.path().join("shell");
    std::fs::write(&shell, "#!/bin/sh\necho Welcome; echo Oops >&2\nexec /bin/sh \"$@\"\n").unwrap();
    assert!(std::process::Command::new("chmod").arg("755").arg(&shell).status().unwrap().success());
    let sshd = Sshd::with(&format!("ForceCommand {} -c \"$SSH_ORIGINAL_COMMAND\"", shell.display())).known();
    let output = host(&sshd).await.run(sh("echo out; echo err >&2")).await.unwrap();
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (b"out\n".as_slice(), b"err\n".as_slice()));
}

#[tokio::test]
async fn a_host_that_runs_something_else() {
    needs!(Sshd);
    let sshd = Sshd::with("ForceCommand echo This account is closed; exit 1").known();
    let error = host(&sshd).await.run(sh("true")).await.err().unwrap();
    let HostError::Unreachable { source: Some(source), .. } = &error else { panic!("{error:?}") };
    assert!(source.to_string().contains("This account is closed"), "{source}");
}

/// The input of a command never appears in the process table.
#[tokio::test]
async fn secrets_stay_off_command_lines() {
    needs!(Sshd);
    let sshd = Sshd::start().known();
    let host = host(&sshd).await;
    let canary = "s3cr3t-canary-8f2b";
    let run = host.run(sh("cat >/dev/null; sleep 1").stdin(Secret::from(canary)));
    let look = async {
        let begun = Instant::now();
        let mut seen = 0;
        while begun.elapsed() < Duration::from_millis(900) {
            for process in std::fs::read_dir("/proc").unwrap().flatten() {
                for file in ["cmdline", "environ"] {
                    let bytes = std::fs::read(process.path().join(file)).unwrap_or_default();
                    seen += usize::from(bytes.windows(canary.len()).any(|w| w == canary.as_bytes()));
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(seen, 0);
    };
    let (result, ()) = tokio::join!(run, look);
    assert_eq!(result.unwrap().status, 0);
}
