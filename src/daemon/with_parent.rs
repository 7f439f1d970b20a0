//! A process that must not outlive the one that started it: `pronto load` starts gateways and labs, and whatever
//! becomes of it (Ctrl-C, a bug, SIGKILL), nothing of it goes on.

use std::io;

/// Ends this process when its standard input ends: the other end is held by whoever started us, and by nobody else.
pub(super) fn end_with_standard_input() -> io::Result<()> {
    std::thread::Builder::new().name("parent".into()).stack_size(64 << 10).spawn(|| {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        std::process::exit(0);
    })?;
    Ok(())
}
