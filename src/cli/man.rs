//! `man`: a page for the program and one for each subcommand, from the definitions that parse its
//! arguments. Hidden: packages are made with it, and nobody else needs it.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

/// What no definition of a flag says, at the end of the program's own page.
const MORE: &str = r#".SH FILES
.TP
\fI/etc/quantixkvm/config.toml\fR
Settings, where no other file is named. A key that does not exist is refused by name.
.TP
\fI/var/lib/quantixkvm\fR
The state, mode 0700, of the service's own user.
.TP
\fI/run/quantixkvm/api.sock\fR
The API for root and members of the group quantixkvm\-admin, where the service's unit runs.
.SH ENVIRONMENT
Each setting may be given as \fBQUANTIXKVM_\fR and its name in capitals, such as
\fBQUANTIXKVM_LOG_LEVEL\fR; it stands above the file and below the flags.
.SH "EXIT STATUS"
.TP
\fB0\fR
Done; of \fBserve\fR: ended by SIGTERM or SIGINT. Guests run on.
.TP
\fB1\fR
Failed; the message says at what.
.TP
\fB2\fR
The arguments are wrong.
.TP
\fB78\fR
A restart will not help: a setting, the data directory or the state file must be looked at first,
and the message says which and how.
.SH "SEE ALSO"
\fBvirsh\fR(1), \fBlibvirtd\fR(8), \fBlibvirt\-guests\fR(8), \fBsystemctl\fR(1)
"#;

/// Write every page into the directory.
pub fn write(program: clap::Command, directory: &Path) -> ExitCode {
    match pages(program, directory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("quantixkvm: the man pages cannot be written into {}: {error}", directory.display());
            ExitCode::FAILURE
        }
    }
}

fn pages(program: clap::Command, directory: &Path) -> std::io::Result<()> {
    let name = program.get_name().to_owned();
    clap_mangen::generate_to(program.disable_help_subcommand(true), directory)?;
    let page = directory.join(format!("{name}.1"));
    OpenOptions::new().append(true).open(page)?.write_all(MORE.as_bytes())
}
