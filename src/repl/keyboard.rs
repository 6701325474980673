//! The keyboard while code runs: keys are not shown, so that they don't push what stands on the screen, and
//! wait for the next prompt. Ctrl-C and Ctrl-Z work as ever.

#[cfg(not(unix))]
pub(super) use nothing::{begin, lend, prepare, restore, suspend};
#[cfg(unix)]
pub(super) use posix::{begin, lend, prepare, restore, suspend};

/// Terminals whose keys are left as they are.
#[cfg(not(unix))]
mod nothing {
    pub struct Quiet;

    pub fn begin() -> Quiet {
        Quiet
    }

    pub fn lend() -> Quiet {
        Quiet
    }

    pub fn restore() {}

    pub fn suspend() {}

    pub fn prepare() {}
}

#[cfg(unix)]
mod posix {
    use std::io::IsTerminal as _;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, Ordering};

    use nix::libc::{self, c_int, termios};
    use nix::sys::signal::{
        SaFlags, SigAction, SigHandler, SigSet, Signal, kill, raise, sigaction,
    };
    use nix::sys::termios::{SetArg, tcgetattr, tcsetattr};
    use nix::unistd::{Pid, getpgrp, tcgetpgrp};

    /// How the terminal was found, and how it is while code runs. A signal handler may read it.
    static MODES: OnceLock<Option<(termios, termios)>> = OnceLock::new();
    static QUIET: AtomicBool = AtomicBool::new(false);

    /// Keys are as [`begin`] or [`lend`] made them until this is dropped.
    pub struct Keys {
        /// What they are then.
        quiet: Option<bool>,
    }

    impl Drop for Keys {
        fn drop(&mut self) {
            if let Some(quiet) = self.quiet {
                turn(quiet);
            }
        }
    }

    /// Keys are not shown from now on.
    pub fn begin() -> Keys {
        change(true)
    }

    /// Keys are as the terminal had them, for a question or another program.
    pub fn lend() -> Keys {
        change(false)
    }

    /// Notes how the terminal is before anything changes it.
    pub fn prepare() {
        modes();
    }

    /// Before the program leaves in the middle of a run.
    pub fn restore() {
        turn(false);
    }

    fn change(quiet: bool) -> Keys {
        let changes = modes().is_some() && QUIET.load(Ordering::Relaxed) != quiet;
        if changes {
            turn(quiet);
        }
        Keys {
            quiet: changes.then_some(!quiet),
        }
    }

    fn modes() -> Option<&'static (termios, termios)> {
        let modes = MODES.get_or_init(|| {
            let stdin = std::io::stdin();
            let found = stdin.is_terminal().then(|| tcgetattr(&stdin).ok())??;
            let found = termios::from(found);
            let mut quiet = found;
            quiet.c_lflag &= !(libc::ECHO | libc::ICANON);
            // Enter is to be at the next prompt what it is there.
            quiet.c_iflag &= !libc::ICRNL;
            quiet.c_cc[libc::VMIN] = 1;
            quiet.c_cc[libc::VTIME] = 0;
            Some((found, quiet))
        });
        modes.as_ref()
    }

    fn turn(quiet: bool) {
        if modes().is_none() || QUIET.swap(quiet, Ordering::Relaxed) == quiet {
            return;
        }
        set(quiet);
        for signal in [Signal::SIGTSTP, Signal::SIGQUIT, Signal::SIGABRT] {
            handle(signal, quiet);
        }
    }

    fn handle(signal: Signal, quiet: bool) {
        let handler = match (quiet, signal) {
            (false, _) => SigHandler::SigDfl,
            (true, Signal::SIGTSTP) => SigHandler::Handler(stop),
            (true, _) => SigHandler::Handler(leave),
        };
        act(signal, handler);
    }

    fn act(signal: Signal, handler: SigHandler) {
        let action = SigAction::new(handler, SaFlags::SA_RESTART, SigSet::empty());
        // SAFETY: the handlers call nothing but what signal-safety(7) allows.
        let _ = unsafe { sigaction(signal, &action) };
    }

    /// A program in the background may not touch the terminal: it would be stopped.
    fn set(quiet: bool) {
        let Some((found, quietly)) = MODES.get().and_then(Option::as_ref) else {
            return;
        };
        let stdin = std::io::stdin();
        if tcgetpgrp(stdin).is_ok_and(|group| group == getpgrp()) {
            let mode = if quiet { quietly } else { found };
            // SAFETY: `mode` is a termios that tcgetattr gave.
            unsafe { libc::tcsetattr(libc::STDIN_FILENO, libc::TCSADRAIN, mode) };
        }
    }

    /// Ctrl-Z: the shell gets the terminal as it was. Where there is none nothing stops.
    extern "C" fn stop(_: c_int) {
        let error = nix::errno::Errno::last_raw();
        set(false);
        act(Signal::SIGTSTP, SigHandler::SigDfl);
        let _ = raise(Signal::SIGTSTP);
        // It waits as long as this handler runs.
        let _ = SigSet::from(Signal::SIGTSTP).thread_unblock();
        handle(Signal::SIGTSTP, true);
        set(QUIET.load(Ordering::Relaxed));
        nix::errno::Errno::set_raw(error);
    }

    /// Ctrl-Z at the prompt, whose mode is there again afterwards. The editor's own would go on before the
    /// program stops: another thread may get the signal.
    pub fn suspend() {
        let stdin = std::io::stdin();
        let Ok(mode) = tcgetattr(&stdin) else {
            return;
        };
        set(false);
        // All that the shell started together, and then this program.
        act(Signal::SIGTSTP, SigHandler::SigIgn);
        let _ = kill(Pid::from_raw(0), Signal::SIGTSTP);
        act(Signal::SIGTSTP, SigHandler::SigDfl);
        let _ = raise(Signal::SIGTSTP);
        let _ = tcsetattr(&stdin, SetArg::TCSADRAIN, &mode);
    }

    /// Ctrl-\ and aborts.
    extern "C" fn leave(signal: c_int) {
        set(false);
        if let Ok(signal) = Signal::try_from(signal) {
            handle(signal, false);
            let _ = raise(signal);
        }
    }
}
