//! Photographs in one folder a class.

use super::{ImageSet, LabelledImage, PassedOver, Split};
use crate::{Error, Result};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The endings that make a file a photograph, whatever their case.
const EXTENSIONS: [&str; 11] = ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "dib", "tif", "tiff", "gif"];

const PHOTOGRAPHS: &str = "files that end in .jpg, .jpeg, .jpe, .jfif, .png, .webp, .bmp, .dib, .tif, .tiff or .gif";

/// Names of folders, whatever their case.
const TRAIN: [&str; 2] = ["train", "training"];
const VALIDATION: [&str; 3] = ["val", "valid", "validation"];
const TEST: [&str; 2] = ["test", "testing"];

const HIDDEN: &str = "names that begin with a dot";

const OWN: &str = "directories that arcos has written";
const OUTPUT: &str = "the directory that is written to";

/// Names that are together in each such directory, and in no folder of photographs: of features, begun and whole, of runs, comparisons, searches
/// and evaluations.
const NAMES_IN_OWN: [&[&str]; 8] = [
    &[".arcos-partial"],
    &["manifest.json", "train_features.npy"],
    &["manifest.json", "test_features.npy"],
    &["run.json", "checkpoints"],
    &["comparison.json"],
    &["unfinished/comparison.json"],
    &["search.json"],
    &["evaluation.json"],
];

/// The figures in them.
const OWN_FIGURES: [&str; 7] = [
    "classes.png",
    "confusions.png",
    "open_set.png",
    "reliability.png",
    "result.png",
    "scale_margin.png",
    "training.png",
];

/// Reads `directory/train/CLASS/**` and `directory/test/CLASS/**`; without folders of those names, `directory/CLASS/**`, all of it as
/// `whole`. `training` and `testing` are other names for them; `val`, `valid` or `validation` stands for `test` where that is not
/// there, and is else passed over. Classes are the names of folders in alphabetical order, those of both splits together; files
/// come in alphabetical order, those of folders in folders too.
///
/// What is in the directory and not in the set is in [`ImageSet::passed_over`]: other files, names that begin with a dot, folders
/// beside `train` and `test`, links to folders that are read already, directories with features, runs and reports of this crate's program, and
/// `output`, the directory that is to be written to. A link that leads nowhere is in the set, as an image that is
/// missing.
///
/// # Errors
/// [`Error::Io`]; [`Error::File`] where there is no photograph, for a class without any, where two folders are one split, for photographs beside what this crate's program has written, and where links
/// make one folder that of two classes or splits.
pub fn read(directory: &Path, whole: Split, output: Option<&Path>) -> Result<ImageSet> {
    let output = output.and_then(|output| fs::canonicalize(output).ok());
    let mut walk = Walk { root: directory, output, passed_over: BTreeMap::new() };
    let mut found = Vec::new();
    // Each class, and a folder of its name.
    let mut classes: BTreeMap<String, PathBuf> = BTreeMap::new();
    // Each folder that was read, and of which class.
    let mut read: HashMap<PathBuf, PathBuf> = HashMap::new();
    for (folder, split) in walk.splits(whole)? {
        // A link back to these does not make all photographs those of one class.
        let above = HashSet::from([canonical(directory)?, canonical(&folder)?]);
        for class in walk.entries(&folder)? {
            if !is_folder(&class)? {
                walk.pass_over("files beside the folders of classes", &class);
                continue;
            }
            if walk.is_no_folder_of_photographs(&class)? {
                continue;
            }
            let name = class_name(&class)?;
            let (before, written_before) = (found.len(), walk.written_by_arcos());
            let mut seen = above.clone();
            walk.photographs(&class, &mut seen, &mut |file| found.push((name.clone(), split, file)))?;
            for folder in seen.difference(&above).filter(|_| found.len() > before) {
                if let Some(other) = read.insert(folder.clone(), class.clone()) {
                    return Err(Error::File {
                        path: class,
                        found: format!("leads to photographs that {} has too", other.display()),
                        expected: "each photograph in one class and one split".into(),
                    });
                }
            }
            if found.len() == before && folder != directory {
                walk.pass_over("folders of classes without a photograph", &class);
            }
            // A folder for what arcos writes is no class.
            if found.len() > before || walk.written_by_arcos() == written_before {
                classes.entry(name).or_insert(class);
            }
        }
    }
    let with_photographs: BTreeSet<&String> = found.iter().map(|(class, ..)| class).collect();
    let empty = |path: &Path, expected: String| Error::File {
        path: path.into(),
        found: "holds no photograph".into(),
        expected,
    };
    if found.is_empty() {
        let expected = format!("a folder for each class with {PHOTOGRAPHS}, or folders train and test of such");
        return Err(empty(directory, expected));
    }
    if let Some((_, folder)) = classes.iter().find(|(name, _)| !with_photographs.contains(name)) {
        return Err(empty(folder, format!("a class of at least one: {PHOTOGRAPHS}")));
    }
    let classes: Vec<String> = classes.into_keys().collect();
    let image = |(class, split, file): (String, Split, PathBuf)| LabelledImage {
        path: file.strip_prefix(directory).map(Path::to_path_buf).unwrap_or(file),
        label: classes.binary_search(&class).expect("the classes are those found"),
        split,
        bounding_box: None,
    };
    let images = found.into_iter().map(image).collect();
    let passed_over = walk.passed_over.into_values().collect();
    Ok(ImageSet { root: directory.into(), classes, images, passed_over })
}

/// A way through folders, and what was passed over on it.
struct Walk<'a> {
    root: &'a Path,
    /// The directory that is written to, as it really is.
    output: Option<PathBuf>,
    /// By kind.
    passed_over: BTreeMap<&'static str, PassedOver>,
}

impl Walk<'_> {
    fn pass_over(&mut self, kind: &'static str, path: &Path) {
        let first = || path.strip_prefix(self.root).unwrap_or(path).to_path_buf();
        let of_kind = self.passed_over.entry(kind).or_insert_with(|| PassedOver { kind, count: 0, first: first() });
        of_kind.count += 1;
    }

    /// How many directories were passed over that arcos writes or has written.
    fn written_by_arcos(&self) -> usize {
        [OWN, OUTPUT].iter().filter_map(|kind| self.passed_over.get(kind)).map(|passed_over| passed_over.count).sum()
    }

    /// Whether a folder is written to, or arcos has written it; it is passed over then.
    ///
    /// # Errors
    /// [`Error::File`] where there are photographs in it as well: they would be left out with it.
    fn is_no_folder_of_photographs(&mut self, folder: &Path) -> Result<bool> {
        let is_output = self.output.as_ref() == Some(&canonical(folder)?);
        let is_own = NAMES_IN_OWN.iter().any(|names| names.iter().all(|name| folder.join(name).exists()));
        if !is_output && !is_own {
            return Ok(false);
        }
        let is_photograph =
            |path: &&PathBuf| has_photograph_extension(path) && !OWN_FIGURES.contains(&name(path).as_str());
        if let Some(photograph) = list(folder)?.iter().find(is_photograph) {
            let what = if is_output { "the directory that is written to" } else { "what arcos has written" };
            return Err(Error::File {
                path: photograph.clone(),
                found: format!("is in {what}"),
                expected: "photographs in folders of their own".into(),
            });
        }
        self.pass_over(if is_output { OUTPUT } else { OWN }, folder);
        Ok(true)
    }

    /// The folders with classes, and what each is for.
    fn splits(&mut self, whole: Split) -> Result<Vec<(PathBuf, Split)>> {
        let entries = list(self.root)?;
        let named = |names: &[&str]| -> Result<Option<PathBuf>> {
            let mut folders = Vec::new();
            for path in entries.iter().filter(|path| names.contains(&name(path).to_lowercase().as_str())) {
                // A class may be called train.
                if is_folder(path)? && list(path)?.iter().any(|path| path.is_dir() && !is_hidden(path)) {
                    folders.push(path.clone());
                }
            }
            match &folders[..] {
                [one, other, ..] => Err(Error::File {
                    path: self.root.into(),
                    found: format!("holds {} and {}", name(one), name(other)),
                    expected: "one folder a split".into(),
                }),
                _ => Ok(folders.pop()),
            }
        };
        let (train, validation, test) = (named(&TRAIN)?, named(&VALIDATION)?, named(&TEST)?);
        let testing = test.or(validation.clone());
        if train.is_none() && testing.is_none() {
            return Ok(vec![(self.root.into(), whole)]);
        }
        for path in entries.iter().filter(|path| ![&train, &testing].contains(&&Some(path.to_path_buf()))) {
            self.pass_over(
                match is_hidden(path) {
                    true => HIDDEN,
                    false if Some(path) == validation.as_ref() => {
                        "folders for validation, which are read where there is none for testing"
                    }
                    false => "beside the folders for training and testing",
                },
                path,
            );
        }
        let folders = [(train, Split::Train), (testing, Split::Test)].into_iter();
        Ok(folders.filter_map(|(folder, split)| Some((folder?, split))).collect())
    }

    /// Calls `take` with the photographs in `folder` and the folders in it. Each folder is read once, by whatever links it is reached: one
    /// may lead back to where it is.
    fn photographs(
        &mut self,
        folder: &Path,
        seen: &mut HashSet<PathBuf>,
        take: &mut impl FnMut(PathBuf),
    ) -> Result<()> {
        if !seen.insert(canonical(folder)?) {
            self.pass_over("links to folders that are read already", folder);
            return Ok(());
        }
        for path in self.entries(folder)? {
            if path.is_dir() {
                if !self.is_no_folder_of_photographs(&path)? {
                    self.photographs(&path, seen, take)?;
                }
            } else if has_photograph_extension(&path) {
                take(path);
            } else {
                self.pass_over("files that are no photographs by their names", &path);
            }
        }
        Ok(())
    }

    /// What is in a folder, in alphabetical order, but for names that begin with a dot.
    fn entries(&mut self, folder: &Path) -> Result<Vec<PathBuf>> {
        let (hidden, entries): (Vec<_>, Vec<_>) = list(folder)?.into_iter().partition(|path| is_hidden(path));
        hidden.iter().for_each(|path| self.pass_over(HIDDEN, path));
        Ok(entries)
    }
}

fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| Error::io("list", folder, error);
    let entries = fs::read_dir(folder).map_err(failed)?.map(|entry| Ok(entry?.path()));
    let mut paths = entries.collect::<io::Result<Vec<_>>>().map_err(failed)?;
    paths.sort();
    Ok(paths)
}

/// # Errors
/// [`Error::Io`] for a link that leads nowhere: a class, or a split, would be left out with it.
fn is_folder(path: &Path) -> Result<bool> {
    fs::metadata(path).map(|metadata| metadata.is_dir()).map_err(|error| Error::io("read", path, error))
}

fn canonical(folder: &Path) -> Result<PathBuf> {
    fs::canonicalize(folder).map_err(|error| Error::io("list", folder, error))
}

fn is_hidden(path: &Path) -> bool {
    name(path).starts_with('.')
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// # Errors
/// [`Error::File`] for a name that is no text: two of them could look the same.
fn class_name(folder: &Path) -> Result<String> {
    let wrong = || Error::File {
        path: folder.into(),
        found: "the name of the class is not in UTF-8".into(),
        expected: "names that are text".into(),
    };
    Ok(folder.file_name().and_then(|name| name.to_str()).ok_or_else(wrong)?.into())
}

fn has_photograph_extension(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    EXTENSIONS.contains(&extension.as_str())
}
