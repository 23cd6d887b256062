pub const AFTER_HELP: &str = "";
#[derive(clap::Args)]
pub struct CheckFlags {}
pub fn check(_: CheckFlags) -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
