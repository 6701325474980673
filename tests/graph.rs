//! Programs as graphs: what is drawn, in which groups, as DOT and SVG.

use std::collections::BTreeSet;

use rlaif_repl::graph::{End, Graph, Group, Item, Kind, View};
use rlaif_repl::mil::text;

fn graph(head: &str, body: &str, results: &str) -> Graph {
    let text = format!("program(1.3)\n{{ func main<ios18>({head}) {{ {body} }} -> ({results}); }}");
    let (program, _) = text::parse(&text, "test").unwrap();
    Graph::of_program(&program, "main").unwrap()
}

const HEAD: &str = "tensor<fp16, [1, 4]> x";

#[test]
fn a_small_program_as_dot() {
    let body = "tensor<fp16, [4, 4]> w = const()[name = string(\"w\"), val = tensor<fp16, [4, 4]>(BLOBFILE(path = string(\"@model_path/w.bin\"), offset = uint64(64)))]; \
        tensor<fp16, [1, 4]> a = linear(x = x, weight = w, bias = tensor<fp16, [4]>([0.5, 1.0, 0.0, -1.0]))[name = string(\"first \\\"one\\\"\")]; \
        tensor<fp16, [1, 2]> b, tensor<fp16, [1, 2]> c = split(x = a, axis = int32(1), num_splits = int32(2)); \
        tensor<fp16, [1, 2]> y = add(x = b, y = c);";
    let dot = graph(HEAD, body, "y").to_dot(&View::default()).unwrap();
    assert_eq!(
        dot,
        r#"digraph "main" {
  graph [fontname="Helvetica", fontsize=12];
  node [shape=box, style="rounded,filled", fillcolor=white, fontname="Helvetica", fontsize=11];
  edge [fontname="Helvetica", fontsize=9, color=gray40];
  n0 [label="x", shape=ellipse];
  n1 [label="linear\nfirst \"one\"\nweight fp16 4×4\nbias [0.5, 1, 0, -1]"];
  n2 [label="split\nb\naxis 1, num_splits 2"];
  n3 [label="add\ny"];
  n4 [label="y", shape=ellipse];
  n0 -> n1 [label="fp16 1×4"];
  n1 -> n2 [label="fp16 1×4"];
  n2 -> n3 [label="fp16 1×2\nfp16 1×2"];
  n3 -> n4 [label="fp16 1×2"];
}
"#
    );
}

/// `count` layers of five operations, with weights called as a PyTorch module's; `named` or not.
fn layers(count: usize, named: bool) -> Graph {
    let mut body = String::new();
    let mut weight = |layer: usize, part: &str| {
        let name = match named {
            true => format!("net_h_{layer}_{part}_weight_to_fp16"),
            false => format!("const_{}_to_fp16", body.len()),
        };
        body += &format!(
            "tensor<fp16, [4, 4]> {name} = const()[val = tensor<fp16, [4, 4]>(BLOBFILE(path = \
             string(\"@model_path/w.bin\"), offset = uint64(64)))]; "
        );
        name
    };
    let weights: Vec<[String; 3]> = (0..count)
        .map(|i| ["attn_q", "attn_k", "mlp"].map(|part| weight(i, part)))
        .collect();
    body += "tensor<fp16, [1, 4]> h_0 = relu(x = x); ";
    for (i, [q, k, mlp]) in weights.iter().enumerate() {
        let zeros = "bias = tensor<fp16, [4]>([0, 0, 0, 0])";
        body += &format!(
            "tensor<fp16, [1, 4]> q_{i} = linear(x = h_{i}, weight = {q}, {zeros}); \
             tensor<fp16, [1, 4]> k_{i} = linear(x = h_{i}, weight = {k}, {zeros}); \
             tensor<fp16, [1, 4]> s_{i} = mul(x = q_{i}, y = k_{i}); \
             tensor<fp16, [1, 4]> m_{i} = linear(x = s_{i}, weight = {mlp}, {zeros}); \
             tensor<fp16, [1, 4]> h_{} = add(x = h_{i}, y = m_{i}); ",
            i + 1
        );
    }
    body += &format!("tensor<fp16, [1, 4]> y = tanh(x = h_{count});");
    graph(HEAD, &body, "y")
}

fn paths(group: &Group) -> Vec<(String, usize)> {
    group
        .groups()
        .flat_map(|inner| {
            let own = (inner.path.clone(), inner.ops);
            std::iter::once(own).chain(paths(inner))
        })
        .collect()
}

#[test]
fn layers_are_found_by_name_with_their_parts() {
    let graph = layers(3, true);
    let found = paths(&graph.root);
    let expected = [
        ("net_h", 15),
        ("net_h/0", 5),
        ("net_h/0/attn", 3),
        ("net_h/1", 5),
        ("net_h/1/attn", 3),
        ("net_h/2", 5),
        ("net_h/2/attn", 3),
    ];
    assert_eq!(found, expected.map(|(path, ops)| (path.to_owned(), ops)));
    assert_eq!(
        graph.root.groups().next().unwrap().kind,
        Kind::Stack { layers: 3 }
    );
    assert_eq!(graph.root.items.len(), 3);
}

#[test]
fn layers_without_names_are_found_by_their_structure() {
    let found = paths(&layers(4, false).root);
    let expected = [
        ("block", 20),
        ("block/0", 5),
        ("block/1", 5),
        ("block/2", 5),
        ("block/3", 5),
    ];
    assert_eq!(found, expected.map(|(path, ops)| (path.to_owned(), ops)));
}

/// Whatever is grouped: every edge leads to a later item, and every operation stands in one place.
fn check_group(group: &Group, labels: &mut BTreeSet<String>) {
    for edge in &group.edges {
        assert!(edge.from < edge.to, "{edge:?} in {}", group.path);
        let exists = match edge.to {
            End::Input(_) => false,
            End::Item(i) => i < group.items.len(),
            End::Output(i) => i < group.outputs.len(),
        };
        assert!(exists, "{edge:?} in {}", group.path);
    }
    for item in &group.items {
        match item {
            Item::Op(op) => assert!(labels.insert(op.label.clone()), "{} twice", op.label),
            Item::Group(inner) => check_group(inner, labels),
        }
    }
}

#[test]
fn groups_hold_every_operation_once_and_edges_lead_on() {
    for graph in [layers(3, true), layers(5, false)] {
        let mut labels = BTreeSet::new();
        check_group(&graph.root, &mut labels);
        assert_eq!(labels.len(), graph.root.ops);
    }
}

const CHOICE: &str = "bool p = const()[val = bool(true)]; \
    tensor<fp16, []> t = reduce_sum(x = x, keep_dims = bool(false)); bool q = greater(x = t, y = fp16(0.0)); \
    tensor<fp16, [1, 4]> y = cond(pred = q)[name = string(\"which\")] () { tensor<fp16, [1, 4]> a = relu(x = x); } -> (a) \
    () { tensor<fp16, [1, 4]> b = square(x = x); } -> (b);";

#[test]
fn nested_blocks_are_groups() {
    let graph = graph(HEAD, CHOICE, "y");
    let found: Vec<String> = paths(&graph.root)
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    assert_eq!(found, ["cond which", "cond which/then", "cond which/else"]);
    let holder = graph.root.groups().next().unwrap();
    let names = |ids: &[usize]| -> Vec<&str> {
        ids.iter()
            .map(|id| graph.values[*id].name.as_str())
            .collect()
    };
    assert_eq!(names(&holder.inputs), ["q", "x"]);
    assert_eq!(names(&holder.outputs), ["y"]);
    let open = View {
        expand: vec!["all".into()],
        ..View::default()
    };
    let dot = graph.to_dot(&open).unwrap();
    for part in [
        "subgraph \"cluster cond which/then\"",
        "relu\\na",
        "square\\nb",
    ] {
        assert!(dot.contains(part), "{part} is missing in {dot}");
    }
}

/// How many groups the drawing shows closed and open at first.
fn closed_and_open(graph: &Graph, collapse: Option<usize>, expand: &[&str]) -> (usize, usize) {
    let expand = expand.iter().map(|name| (*name).to_owned()).collect();
    let svg = graph.to_svg(&View { collapse, expand }).unwrap();
    let count = |text: &str| svg.matches(text).count();
    let all = count("class=\"shut\"");
    let open = count("class=\"shut\" display=\"none\"");
    assert_eq!(count("class=\"wide\" display=\"none\""), all - open);
    (all - open, open)
}

#[test]
fn a_view_says_what_is_open_at_first() {
    let graph = layers(3, true);
    for (collapse, expand, open) in [
        (None, &[][..], 0),
        (Some(0), &[], 0),
        (Some(1), &[], 1),
        (Some(2), &[], 4),
        (None, &["net_h/1"], 2),
        (None, &["attn"], 7),
        (Some(0), &["2"], 2),
        (None, &["all"], 7),
    ] {
        let expected = (7 - open, open);
        assert_eq!(
            closed_and_open(&graph, collapse, expand),
            expected,
            "{collapse:?} {expand:?}"
        );
    }
    let unknown = View {
        expand: vec!["nett_h".into()],
        ..View::default()
    };
    let error = graph.to_svg(&unknown).unwrap_err().to_string();
    assert!(
        error.contains("unknown group \"nett_h\"") && error.contains("net_h"),
        "{error}"
    );
}

#[test]
fn pictures_are_well_formed_whatever_the_names() {
    let body = "tensor<fp16, [1, 4]> y = relu(x = x)[name = string(\"<a & \\\"b\\\">\")];";
    let svg = graph(HEAD, body, "y").to_svg(&View::default()).unwrap();
    assert!(svg.contains("&lt;a &amp; &quot;b&quot;&gt;") && !svg.contains("<a &"));
    for graph in [layers(3, true), graph(HEAD, CHOICE, "y")] {
        let svg = graph
            .to_svg(&View {
                collapse: Some(1),
                expand: Vec::new(),
            })
            .unwrap();
        let opened = svg.matches("<g").count() - svg.matches("<g/").count();
        assert_eq!(opened, svg.matches("</g>").count());
        let (open, close) = (svg.matches("<text").count(), svg.matches("</text>").count());
        assert_eq!(open, close);
        // Each operation, group and value that enters or leaves is one box.
        assert!(svg.matches("class=\"box\"").count() > graph.root.ops);
        assert!(svg.ends_with("</svg>\n"));
    }
}

#[test]
fn the_command_draws_and_says_what() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let model = "program(1.3) { func main<ios18>(fp16 x) { fp16 y = relu(x = x); } -> (y); }";
    std::fs::write(at("m.mil"), model).unwrap();
    let inspect = |file: &str, more: &[&str]| {
        let (model, file) = (at("m.mil"), at(file));
        let args = [&["inspect", &model, "--graph", &file], more].concat();
        let output = crate::cli::run(&args, "");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&at(""), "");
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (code, told, _) = inspect("m.svg", &[]);
    assert_eq!(
        (code, told.as_str()),
        (Some(0), "m.svg: main, 1 operation\n")
    );
    let svg = std::fs::read_to_string(at("m.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains(">relu<"), "{svg}");
    assert_eq!(inspect("m.dot", &["--function", "main"]).0, Some(0));
    for (file, more, words) in [
        ("m.png", &[][..], "name the file .svg, or .dot for Graphviz"),
        ("m.svg", &["--function", "mian"], "did you mean \"main\"?"),
        ("m.svg", &["--expand", "layer"], "unknown group \"layer\""),
    ] {
        let (code, _, error) = inspect(file, more);
        assert!(code == Some(2) && error.contains(words), "{code:?} {error}");
    }
}
