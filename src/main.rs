//! The `arcos` program; see `arcos --help`.

fn main() -> std::process::ExitCode {
    arcos::cli::main()
}
