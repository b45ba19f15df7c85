//! relay-serve, as a service manager runs it: the test opens the port, so no connection comes too early.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::journal::Journal;
use crate::testenv::Call;

/// Only a fault takes this long.
const LIMIT: Duration = Duration::from_secs(60);

/// A server, which is killed if the test fails.
pub(crate) struct Server {
    child: Child,
    port: u16,
    said: Journal<String>,
    reader: Option<JoinHandle<()>>,
}

/// How a server ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its status; `None` after a signal.
    pub(crate) status: Option<i32>,
    /// Its diagnostics.
    pub(crate) said: Vec<String>,
}

impl Ended {
    /// The diagnostics that are no events, no hints and no notes about the time.
    pub(crate) fn errors(&self) -> Vec<&str> {
        errors(&self.said)
    }
}

/// The lines that are no events, no hints and no notes about the time.
fn errors(said: &[String]) -> Vec<&str> {
    let lines = said.iter().map(String::as_str);
    let is_error = |line: &&str| {
        let kinds = ["relay-serve: event=", "relay-serve: hint: "];
        !kinds.iter().any(|it| line.starts_with(it)) && !line.contains("the time is taken to be")
    };
    lines.filter(is_error).collect()
}

impl Server {
    /// Starts a run of relay-serve at a free port of loopback.
    pub(crate) fn start(call: Call<'_>) -> Self {
        Self::start_on(call, TcpListener::bind(("127.0.0.1", 0)).unwrap())
    }

    /// Starts it at a port that is open.
    pub(crate) fn start_on(call: Call<'_>, socket: TcpListener) -> Self {
        let port = socket.local_addr().unwrap().port();
        // As standard input, which no other program that is started meanwhile gets.
        let passed = "exec 3<&0 </dev/null\nexport LISTEN_FDS=1 LISTEN_PID=$$";
        let mut command = call.shell(passed, "").to_command();
        command.stdin(OwnedFd::from(socket));
        Self::spawn(command, port)
    }

    /// Starts it where its options say, and waits until it serves.
    pub(crate) fn start_by_itself(call: &Call<'_>) -> Self {
        let mut command = call.to_command();
        command.stdin(Stdio::null());
        let mut server = Self::spawn(command, 0);
        server.wait_for("event=serving", 1);
        let said = server.said();
        let line = said.iter().find(|it| it.contains("event=serving"));
        let port = line.unwrap().rsplit(':').next().unwrap().parse();
        server.port = port.unwrap_or_default();
        server
    }

    fn spawn(mut command: Command, port: u16) -> Self {
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        let said = Journal::new();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let reader = std::thread::spawn({
            let said = said.clone();
            move || {
                for line in stderr.lines().map_while(Result::ok) {
                    said.add(line);
                }
            }
        });
        Self {
            child,
            port,
            said,
            reader: Some(reader),
        }
    }

    /// Its port; 0 for a Unix socket.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The process with keys and spool.
    pub(crate) fn keeper(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// The process that speaks with the network.
    pub(crate) fn front(&self) -> Pid {
        self.wait_for("event=serving", 1);
        let keeper = self.keeper().as_raw_pid();
        let path = format!("/proc/{keeper}/task/{keeper}/children");
        let children = fs::read_to_string(path).unwrap();
        let pid = children
            .trim()
            .parse()
            .unwrap_or_else(|_| panic!("{children:?}"));
        Pid::from_raw(pid).unwrap()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.keeper(), signal).unwrap();
    }

    /// Its diagnostics until now.
    pub(crate) fn said(&self) -> Vec<String> {
        self.said.all()
    }

    /// Its diagnostics until now that are no events, no hints and no notes about the time.
    pub(crate) fn errors(&self) -> Vec<String> {
        let said = self.said.all();
        errors(&said).into_iter().map(str::to_owned).collect()
    }

    /// How often it said this.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.said.count(|line| line.contains(text))
    }

    /// Waits until it has said this so many times.
    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str, times: usize) {
        let is_enough = |all: &[String]| all.iter().filter(|it| it.contains(text)).count() >= times;
        self.said.wait(text, is_enough);
    }

    /// Ends it as a service manager does.
    pub(crate) fn stop(self) -> Ended {
        self.signal(Signal::TERM);
        self.ended()
    }

    /// Waits until it ends by itself.
    pub(crate) fn ended(mut self) -> Ended {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.code();
            }
            assert!(
                started.elapsed() < LIMIT,
                "it goes on: {:?}",
                self.said.all()
            );
            std::thread::sleep(Duration::from_millis(5));
        };
        // The front has standard error, too: this waits for both.
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        Ended {
            status,
            said: self.said.all(),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
