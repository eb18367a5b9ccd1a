//! `arcos bench`

mod case;
mod contestants;
mod figure;
mod memory;

use super::head_args::{HeadArgs, borrowed, head, head_names};
use super::kernel_args::KernelArgs;
use super::list_entry::{ListEntry, entries};
use super::train_args::at_least_one;
use super::{npy, outputs, print, tell};
use arcos::wording::counted;
use arcos::{Error, Real, Result, streaming};
use case::{ARRAYS, Case, Regime};
use contestants::Measured;
use ndarray_npy::WritableElement;
use serde::Serialize;
use std::path::PathBuf;

/// Arguments of `arcos bench`.
#[derive(clap::Args)]
#[command(after_help = "\
Times, alternating in one process: the three bare matrix products of a training step (whole arrays with BLAS's own threads, \
and blocks of classes on one thread each; the faster of the two is the measure), the explicit forward and backward, and \
the streaming kernel; with --update also a whole SGD step with momentum, the optimizer inside the kernel, after it, and \
inside it where features are frozen, which spares their gradient (one of the three products), and with --sample-rate that of Partial FC.
Reports medians, ratios to the bare products, speed (the three products' operations over the time), and the most memory \
taken beyond features, weights and gradients (resident memory of the process, where the system tells).

Examples:
  arcos bench --head arcface --batch 512 --dim 512 --classes 50000
  arcos bench --regime concentrated --filter 1e-7 --workspace 0
  arcos bench --regime late --filter 1e-7 --precision mixed
  arcos bench --classes 1000000 --update --json
  arcos bench --classes 1000000 --update --sample-rate 0.1
  arcos bench --classes 1000000 --regime concentrated --top 5
  arcos bench --classes 1000,10000,100000 --plot streaming.png")]
pub(super) struct Args {
    /// The head
    #[arg(long, ignore_case = true, value_parser = head_names(), default_value = "arcface")]
    head: String,
    /// Rows in the batch B
    #[arg(long, value_name = "B", default_value_t = 512, value_parser = at_least_one)]
    batch: usize,
    /// Feature dimension D
    #[arg(long, value_name = "D", default_value_t = 512, value_parser = at_least_one)]
    dim: usize,
    /// Classes C; several, separated by commas, run one after the other
    #[arg(long, value_name = "C", default_value = "50000", value_delimiter = ',')]
    #[arg(value_parser = ListEntry(at_least_one))]
    classes: Vec<Option<usize>>,
    /// How features lie to class vectors
    #[arg(long, value_enum, default_value_t = Regime::Dense)]
    regime: Regime,
    /// Element type, or f32 with the kernel's products in bf16; the bare products are in f32 then
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    precision: Precision,
    /// Threads [default: one a core]
    #[arg(long, value_name = "N", value_parser = number_of_threads)]
    threads: Option<usize>,
    /// Runs of each, of which the median counts; one more goes before them
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = at_least_one)]
    runs: usize,
    /// Also time a whole step of SGD with momentum
    #[arg(long)]
    update: bool,
    /// With --update also a step of Partial FC on this share of the classes, drawn anew each time
    #[arg(long, value_name = "R", requires = "update", allow_negative_numbers = true)]
    sample_rate: Option<f64>,
    /// Also time finding the K likeliest classes of each row, without labels, as predict does, and all logits
    #[arg(long, value_name = "K", value_parser = at_least_one)]
    top: Option<usize>,
    /// Print one JSON object a line, for each number of classes
    #[arg(long)]
    json: bool,
    /// Draw time and memory against the number of classes
    #[arg(long, value_name = "FILE.png")]
    plot: Option<PathBuf>,
    /// Write features.npy, weights.npy and labels.npy (of the last number of classes), to time another framework on
    #[arg(long, value_name = "DIR")]
    save_arrays: Option<PathBuf>,
    #[command(flatten)]
    head_args: HeadArgs,
    #[command(flatten)]
    kernel: KernelArgs,
}

/// More threads than any machine has work for; some ten thousand times as many would never all be started.
const MOST_THREADS: usize = 1024;

fn number_of_threads(text: &str) -> std::result::Result<usize, String> {
    let threads = at_least_one(text)?;
    if threads <= MOST_THREADS { Ok(threads) } else { Err(format!("expected at most {MOST_THREADS}")) }
}

#[derive(Clone, Copy, Debug, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Precision {
    F32,
    F64,
    Mixed,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    head: String,
    batch: usize,
    dim: usize,
    classes: usize,
    regime: Regime,
    precision: Precision,
    threads: usize,
    product: &'static str,
    runs: usize,
    workspace_mib: usize,
    filter: Option<f64>,
    /// Share of blocks left out.
    filtered: f64,
    loss: f64,
    results: Vec<Measured>,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let numbers_of_classes = entries("--classes", &args.classes)?;
    if let Some(figure) = &args.plot {
        let is_png = figure.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"));
        if !is_png {
            let (value, expected) = (figure.display().to_string(), "a name that ends in .png".into());
            return Err(Error::Setting { name: "--plot", value, expected });
        }
        outputs::check_place(figure)?;
    }
    if let Some(directory) = &args.save_arrays {
        let files = ARRAYS.map(|name| npy::path(directory, name));
        // Arrays say nothing of where they come from: they may be anybody's.
        if let Some(taken) = files.iter().find(|file| file.symlink_metadata().is_ok()) {
            let (found, expected) = ("is in the way".into(), "nothing there; another place, or move it away".into());
            return Err(Error::File { path: taken.clone(), found, expected });
        }
        outputs::check_places(directory, &files)?;
    }
    let mut pool = rayon::ThreadPoolBuilder::new();
    if let Some(threads) = args.threads {
        pool = pool.num_threads(threads);
    }
    let pool = pool.build().map_err(|error| Error::io("start", "threads", std::io::Error::other(error)))?;
    // Who reads no further wants the files all the same.
    let leaves_files = args.plot.is_some() || args.save_arrays.is_some();
    let mut reports = Vec::new();
    for classes in numbers_of_classes {
        let report = pool.install(|| match args.precision {
            Precision::F32 | Precision::Mixed => measure::<f32>(args, classes),
            Precision::F64 => measure::<f64>(args, classes),
        })?;
        let text = if args.json { serde_json::json!(report).to_string() } else { table(&report) };
        match leaves_files {
            true => tell(text),
            false => print(text)?,
        }
        reports.push(report);
    }
    args.plot.as_deref().map_or(Ok(()), |path| figure::draw(path, &reports))
}

fn measure<F: Real + WritableElement>(args: &Args, classes: usize) -> Result<Report> {
    let head = head(&args.head, borrowed(args.head_args.given()))?;
    let case = Case::<F>::new(head, args.batch, args.dim, classes, args.regime)?;
    args.save_arrays.as_deref().map_or(Ok(()), |directory| case.save(directory))?;
    let kernel = args.kernel.options(match args.precision {
        Precision::F32 | Precision::F64 => streaming::Precision::Full,
        Precision::Mixed => streaming::Precision::Mixed,
    })?;
    let outcome = contestants::race(case, kernel, args.update, args.sample_rate, args.top, args.runs)?;
    Ok(Report {
        head: args.head.clone(),
        batch: args.batch,
        dim: args.dim,
        classes,
        regime: args.regime,
        precision: args.precision,
        threads: rayon::current_num_threads(),
        product: if cfg!(feature = "blas") { "OpenBLAS" } else { "faer" },
        runs: args.runs,
        workspace_mib: kernel.workspace >> 20,
        filter: args.kernel.filter,
        filtered: outcome.filtered,
        loss: outcome.loss,
        results: outcome.measured,
    })
}

fn table(report: &Report) -> String {
    let Report { head, batch, dim, classes, regime, precision, threads, product, runs, .. } = report;
    let [regime, precision] = [format!("{regime:?}"), format!("{precision:?}")].map(|name| name.to_lowercase());
    let filter =
        report.filter.map_or("off".into(), |mass| format!("{mass:e} ({:.0} % of blocks)", 100.0 * report.filtered));
    let mut lines = vec![
        format!(
            "{head}, B {batch}, D {dim}, C {classes}, {precision}, {regime}: medians of {}, {}, {product}",
            counted(*runs, "run"),
            counted(*threads, "thread")
        ),
        format!("workspace {} MiB, filter {filter}, loss {:.4}", report.workspace_mib, report.loss),
        format!("{:<34} {:>10} {:>8} {:>9} {:>12}", "", "seconds", "ratio", "GFLOP/s", "extra MiB"),
    ];
    lines.extend(report.results.iter().map(|result| {
        let Measured { name, seconds, ratio, gflops, extra_mib } = result;
        let extra = extra_mib.map_or("-".into(), |mib| format!("{mib:.1}"));
        format!("{name:<34} {seconds:>10.5} {ratio:>8.2} {gflops:>9.1} {extra:>12}")
    }));
    lines.join("\n")
}
