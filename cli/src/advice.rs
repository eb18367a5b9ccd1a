//! What the program adds to an error of the library: which options of its own help.

use arcos::Error;

/// A clause after the message of `error`, or nothing.
pub(crate) fn of(error: &Error) -> &'static str {
    match error {
        Error::OtherSettings { .. } => {
            "; what may differ is --epochs, --keep, --checkpoint-every, --class-names and where its data are"
        }
        Error::MissingImages { .. } => "; --allow-missing leaves out those that are",
        Error::OfRun { cause, .. } => of(cause),
        _ => "",
    }
}
