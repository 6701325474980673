//! What is compiled here, against what Apple's compiler made of the same model, byte for byte.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rlaif_repl::mil::text;
use rlaif_repl::package::{Bundle, Color, Description, FeatureKind, Flexibility, compile};

use super::save::contents;
use super::{find, models, pairs};

/// Files that differ in what is not known, by a part of their path.
const UNKNOWN: [(&str, &str); 4] = [
    // The keys of enumerated shapes.
    ("enumerated", "model.mil"),
    // The order of the author's own metadata.
    ("silero", "coremldata.bin"),
    // Made from another file than lies beside them: the hash is not that of the source.
    ("/cast/", "analytics/coremldata.bin"),
    ("/weighted/", "analytics/coremldata.bin"),
];

/// Goldens of another source file name than lies beside them.
const NAMES: [(&str, &str); 2] = [
    ("/cast/", "cast_pipeline"),
    ("/weighted/", "weighted_pipeline"),
];

/// The text without the line in which tools name themselves.
fn without_build_info(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8(text.to_vec()).unwrap();
    let lines = text.split('\n');
    let lines = lines.filter(|line| !line.starts_with("[buildInfo"));
    lines.collect::<Vec<_>>().join("\n").into_bytes()
}

/// Names of files that are not as in the golden bundle.
fn differences(ours: &Path, golden: &Path) -> Vec<String> {
    let (mut ours, mut golden) = (contents(ours), contents(golden));
    for files in [&mut ours, &mut golden] {
        for (name, bytes) in files.iter_mut() {
            if name.ends_with("model.mil") {
                *bytes = without_build_info(bytes);
            }
        }
    }
    for (name, bytes) in &mut ours {
        if let Some(golden) = golden.get(name) {
            let sorted = |bytes: &[u8]| {
                let mut bytes = bytes.to_vec();
                bytes.sort_unstable();
                bytes
            };
            // Another order of the author's metadata leaves the bytes the same.
            let order = name == "coremldata.bin" && sorted(bytes) == sorted(golden);
            assert!(
                order || name != "coremldata.bin" || bytes == golden,
                "{name}"
            );
        }
    }
    let names: BTreeSet<&String> = ours.keys().chain(golden.keys()).collect();
    let differ = names
        .into_iter()
        .filter(|name| ours.get(*name) != golden.get(*name));
    differ.cloned().collect()
}

/// The models below `folder` that Apple's compiler made a bundle of: golden and source.
fn goldens(folder: &Path) -> BTreeMap<PathBuf, PathBuf> {
    let mut found: BTreeMap<PathBuf, PathBuf> = pairs(folder)
        .into_iter()
        .filter(|(_, golden)| golden.join("coremldata.bin").exists())
        .map(|(source, golden)| (golden, source))
        .collect();
    for source in find(folder, &|path| path.ends_with("input.mlmodel")) {
        let golden = source.with_file_name("expected.mlmodelc");
        if golden.exists() {
            found.insert(golden, source);
        }
    }
    // Files that were not downloaded tell nothing.
    let pointer = |path: &PathBuf| {
        fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"version https://git-lfs"))
    };
    found.retain(|golden, _| !find(golden, &|path| path.is_file()).iter().any(pointer));
    found
}

/// Compiles every model below `folder`; tells how many files were compared, how many were equal, and
/// which differ without a known reason.
fn compare(folder: &Path) -> (usize, usize, Vec<String>) {
    let work = tempfile::tempdir().unwrap();
    let (mut compared, mut equal) = (0, 0);
    let mut wrong = Vec::new();
    for (golden, source) in goldens(folder) {
        let shown = golden.strip_prefix(folder).unwrap().display().to_string();
        let source = named(source, &shown, work.path());
        let target = work.path().join("compiled.mlmodelc");
        if let Err(error) = compile(&source, &target, true) {
            wrong.push(format!("{shown}: {error}"));
            continue;
        }
        let differ = differences(&target, &golden);
        let files = find(&golden, &|path| path.is_file()).len();
        compared += files;
        equal += files - differ.len();
        let known = |name: &String| {
            let mut known = UNKNOWN.iter();
            known.any(|(part, file)| format!("/{shown}").contains(part) && name == file)
        };
        let unknown = differ.iter().filter(|name| !known(name));
        wrong.extend(unknown.map(|name| format!("{shown}: {name}")));
    }
    (compared, equal, wrong)
}

/// The source under the name by which Apple's compiler knew it.
fn named(source: PathBuf, shown: &str, work: &Path) -> PathBuf {
    let Some((_, name)) = NAMES.iter().find(|(part, _)| shown.contains(part)) else {
        return source;
    };
    let copy = work.join(format!("{name}.mlmodel"));
    fs::copy(&source, &copy).unwrap();
    let weights = source.with_file_name("weights.bin");
    if weights.exists() {
        fs::create_dir_all(work.join("weights")).unwrap();
        fs::copy(weights, work.join("weights/weights.bin")).unwrap();
    }
    copy
}

#[test]
fn the_fixtures_compile_as_by_apple() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/apple");
    let (compared, equal, wrong) = compare(&folder);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!((compared, equal), (28, 27));
}

#[test]
fn the_reference_models_compile_as_by_apple() {
    let Some(models) = models() else { return };
    let (compared, equal, wrong) = compare(&models);
    eprintln!("{equal} of {compared} files are equal");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(compared > 100, "{compared}");
}

/// A classifier of whole numbers, whose probabilities come out of an image of flexible size.
const CLASSES: &str = "program(1.3) {
    func main<ios18>(tensor<fp32, [1, 1, ?, ?]> i) {
        tensor<fp32, [1]> m = reduce_mean(axes = tensor<int32, [3]>([1, 2, 3]), keep_dims = bool(false), x = i);
        tensor<fp32, [2]> q = mul(x = m, y = tensor<fp32, [2]>([1.0, -1.0]));
        int64 label, dict<int64, fp64> p = classify(classes = list<int64, 2>([7, -9]), probabilities = q);
    } -> (label, p);
}";

#[test]
fn compiling_keeps_classes_and_image_sizes() {
    let program = text::parse(CLASSES, "classes").unwrap().0;
    let mut description = Description::from_program(&program).unwrap();
    let main = description.functions.get_mut("main").unwrap();
    main.inputs[0].kind = FeatureKind::Image {
        color: Color::Gray,
        height: 4,
        width: 4,
        flexibility: Flexibility::Ranges(vec![(2, Some(8)), (2, None)]),
    };
    main.outputs[0].kind = FeatureKind::Other("Int64".into());
    main.outputs[1].kind = FeatureKind::Other("Dictionary<Int64>".into());
    main.predicted_feature = Some("label".into());
    main.predicted_probabilities = Some("p".into());
    main.class_labels = vec!["7".into(), "-9".into()];
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let original = Bundle::new(program, description);
    original.save(&path("a.mlpackage")).unwrap();
    compile(&path("a.mlpackage"), &path("b.mlmodelc"), false).unwrap();
    let compiled = Bundle::open(&path("b.mlmodelc")).unwrap();
    compiled.save(&path("c.mlpackage")).unwrap();
    let packed = Bundle::open(&path("c.mlpackage")).unwrap();
    for bundle in [&compiled, &packed] {
        assert_eq!(bundle.description, original.description);
    }
    let main = |bundle: &Bundle| bundle.program.functions["main"].clone();
    assert_eq!(main(&compiled).block.outputs, ["q"]);
    assert_eq!(main(&packed).block, main(&original).block);
    let text = fs::read_to_string(path("b.mlmodelc/model.mil")).unwrap();
    let shapes = "(\"DefaultShapes\", {{\"i\", [1, 1, 4, 4]}}), (\"RangeDims\", {{\"i\", [[1, 1], [1, 1], [2, 8], [2, -1]]}})";
    assert!(text.contains(shapes), "{text}");
    let error = compile(&path("a.mlpackage"), &path("b.mlmodelc"), false)
        .err()
        .unwrap();
    assert!(error.to_string().contains("b.mlmodelc exists"), "{error}");
}
