//! The manual's files: nothing is missing, links lead somewhere, one entry as it stands.

use std::collections::BTreeSet;

use super::super::tests::Bench;
use super::*;

fn file<'a>(pages: &'a [Page], name: &str) -> &'a str {
    let page = pages.iter().find(|page| page.name == name);
    page.map_or_else(|| panic!("no {name}"), |page| page.text.as_str())
}

#[test]
fn links_lead_somewhere() {
    let pages = Bench::new().session.manual();
    let mut places = BTreeSet::new();
    for page in &pages {
        places.insert(page.name.clone());
        for id in page.text.split(" id=\"").skip(1) {
            let id = id.split('"').next().unwrap();
            assert!(
                places.insert(format!("{}#{id}", page.name)),
                "{id} stands twice in {}",
                page.name
            );
        }
    }
    for page in &pages {
        for link in page.text.split("href=\"").skip(1) {
            let link = link.split('"').next().unwrap();
            assert!(places.contains(link), "{}: {link}", page.name);
        }
    }
    let rows = file(&pages, "search.js")
        .lines()
        .filter(|line| line.starts_with('['));
    let rows: Vec<Vec<String>> = rows
        .filter_map(|line| serde_json::from_str(line.trim_end_matches(',')).ok())
        .collect();
    assert!(rows.len() > 300);
    for row in rows {
        assert!(places.contains(&row[4]), "{row:?}");
    }
}

#[test]
fn every_function_stands_in_the_manual_and_in_the_definitions() {
    let bench = Bench::new();
    let (pages, definitions) = (bench.session.manual(), bench.session.definitions());
    let definitions = file(&definitions, "rlaif-repl.d.rhai");
    for function in &bench.session.host().registry().functions {
        let page = file(&pages, &format!("{}.html", function.topic));
        assert!(
            page.contains(&format!("id=\"{}\"", pages::anchor(function))),
            "{}",
            function.name
        );
        assert!(definitions.contains(function.summary), "{}", function.name);
    }
    for magic in MAGICS {
        assert!(file(&pages, "prompt.html").contains(&format!("id=\"{}\"", magic.name)));
    }
}

#[test]
fn an_entry_as_it_stands() {
    let pages = Bench::new().session.manual();
    let page = file(&pages, "files.html");
    let start = page.find("<section class=entry id=\"json\"").unwrap();
    let end = start + page[start..].find("</section>").unwrap();
    let expected = r#"<section class=entry id="json"><h3>json(value: any, #{..}) -&gt; string</h3>
<p>A value as JSON text.</p>
<table>
<tr><td><code>value</code><td>any<td>Numbers, strings, arrays, maps, (), tables, tensors and their mixtures.
</table>
<h4>Options</h4>
<table>
<tr><td><code>pretty</code><td>bool = false<td>Spread over lines.
</table>
<pre><span class=f>json</span>(#{a: [<span class=n>1</span>, <span class=n>2.5</span>], b: ()})
<output>&quot;{\&quot;a\&quot;:[1,2.5],\&quot;b\&quot;:null}&quot;</output></pre>
"#;
    assert_eq!(&page[start..end], expected);
}

#[test]
fn a_definition_as_it_stands() {
    let definitions = Bench::new().session.definitions();
    let names: Vec<&str> = definitions.iter().map(|page| page.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "__builtin__.d.rhai",
            "__builtin-operators__.d.rhai",
            "__static__.d.rhai",
            "rlaif-repl.d.rhai"
        ]
    );
    let text = file(&definitions, "rlaif-repl.d.rhai");
    assert!(text.starts_with("module static;\n\n/// "));
    let start = text.find("/// A value as JSON text.").unwrap();
    let last = "fn json(value: ?, options: Map) -> String;\n";
    let end = text.find(last).unwrap() + last.len();
    let expected = r"/// A value as JSON text.
fn json(value: ?) -> String;

/// A value as JSON text.
///
/// # Parameters
///
/// - `value` (any): Numbers, strings, arrays, maps, (), tables, tensors and their mixtures.
///
/// # Options
///
/// - `pretty` (bool, default false): Spread over lines.
///
/// # Example
///
/// ```rhai
/// json(#{a: [1, 2.5], b: ()})
/// ```
fn json(value: ?, options: Map) -> String;
";
    assert_eq!(&text[start..end], expected);
}

/// The grammar is that of the language's own server, which reads all four files without a diagnostic.
#[test]
fn definitions_keep_to_their_grammar() {
    for page in Bench::new().session.definitions() {
        let lines = page.text.lines().filter(|line| !line.starts_with("//"));
        for line in lines.filter(|line| !line.is_empty() && *line != "module static;") {
            let names = line
                .strip_prefix("fn ")
                .or_else(|| line.strip_prefix("op "));
            let names = names.unwrap_or_else(|| panic!("{}: {line}", page.name));
            let odd = ["$", "range=", "exit(", "default:", "-> ;"];
            let odd = odd.iter().find(|odd| names.contains(**odd));
            assert_eq!(odd, None, "{}: {line}", page.name);
        }
    }
}
