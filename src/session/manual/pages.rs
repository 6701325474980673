//! The pages: what stands on which.

use std::collections::BTreeSet;

use super::html::{entry, shell, table};
use super::{Page, code};
use crate::host::builtins::{self, Builtin};
use crate::host::function::{Form, ScriptFn};
use crate::host::registry::Topic;
use crate::host::{Registry, help};
use crate::report::escape;
use crate::session::Magic;

const STYLE: &str = include_str!("style.css");
const SEARCH: &str = include_str!("search.js");

pub(super) fn all(registry: &Registry, builtins: &[Builtin], magics: &[Magic]) -> Vec<Page> {
    let mut index = Index(Vec::new());
    let mut pages = vec![Page::new("style.css", STYLE)];
    for topic in help::topics() {
        let body = of_topic(registry, topic, &mut index);
        pages.push(Page::new(
            format!("{}.html", topic.name),
            shell(topic.name, &body),
        ));
    }
    let language = shell("language", &of_language(builtins, &mut index));
    pages.push(Page::new("language.html", language));
    pages.push(Page::new(
        "prompt.html",
        shell("prompt", &of_prompt(magics, &mut index)),
    ));
    pages.push(Page::new("index.html", shell("index", &overview(registry))));
    pages.push(Page::new(
        "search.js",
        format!("const ENTRIES = {};\n{SEARCH}", index.json()),
    ));
    pages
}

/// What the search box looks through: name, signature, sentence, further words, address.
struct Index(Vec<[String; 5]>);

impl Index {
    fn add(&mut self, name: &str, signature: &str, summary: &str, words: String, address: String) {
        let [name, signature, summary] = [name, signature, summary].map(str::to_string);
        self.0.push([name, signature, summary, words, address]);
    }

    fn json(&self) -> String {
        let rows = self.0.iter().map(|row| serde_json::json!(row).to_string());
        format!("[\n{}\n]", rows.collect::<Vec<_>>().join(",\n"))
    }
}

/// Where an entry stands on its page.
pub(super) fn anchor(function: &ScriptFn) -> String {
    let name = match function.form {
        Form::Index => "index",
        _ => function.name,
    };
    match function.receiver {
        Some(receiver) => format!("{}.{name}", receiver.name),
        None => name.to_string(),
    }
}

fn overview(registry: &Registry) -> String {
    let mut body = String::from(
        "<h1>rlaif-repl</h1>\n<p>The functions of scripts and of the prompt, by topic. The same text is in \
         <code>help()</code>, <code>name?</code> and the language server.</p>\n",
    );
    let rows = help::topics().iter().map(|topic| {
        let members = help::of_topic(registry, topic.name);
        let links = members
            .iter()
            .filter(|f| f.form == Form::Function)
            .map(|f| {
                format!(
                    "<a href=\"{}.html#{}\">{}</a>",
                    topic.name,
                    anchor(f),
                    f.name
                )
            });
        let links: Vec<String> = links.collect();
        let name = format!("<a href=\"{0}.html\">{0}</a>", topic.name);
        [name, code::sentence(topic.summary), links.join(" ")]
    });
    let language = [
        "<a href=\"language.html\">language</a>".to_string(),
        "The functions of the language itself.".into(),
        String::new(),
    ];
    let prompt = [
        "<a href=\"prompt.html\">prompt</a>".to_string(),
        "The commands of the prompt and of notebooks.".into(),
        String::new(),
    ];
    body += &table("topics", rows.chain([language, prompt]));
    body
}

fn of_topic(registry: &Registry, topic: &Topic, index: &mut Index) -> String {
    let mut body = format!(
        "<h1>{}</h1>\n<p>{}</p>\n",
        topic.name,
        code::sentence(topic.summary)
    );
    for entry in (topic.types)() {
        body += &format!(
            "<p id=\"{0}\" class=type><b>{0}</b> {1}</p>\n",
            entry.name,
            code::sentence(entry.summary)
        );
        let address = format!("{}.html#{}", topic.name, entry.name);
        index.add(
            entry.name,
            entry.name,
            entry.summary,
            String::new(),
            address,
        );
    }
    for function in help::of_topic(registry, topic.name) {
        body += &entry(registry, function);
        let address = format!("{}.html#{}", topic.name, anchor(function));
        let keys = function.keys.iter().map(|key| key.name);
        let fields = function.fields.iter().map(|(name, _)| *name);
        let words: Vec<&str> = keys.chain(fields).collect();
        index.add(
            function.name,
            &function.signature(),
            function.summary,
            words.join(" "),
            address,
        );
    }
    body
}

fn of_language(all: &[Builtin], index: &mut Index) -> String {
    let mut body =
        String::from("<h1>language</h1>\n<p>The functions of the language itself.</p>\n");
    let mut groups: Vec<(&str, Vec<&Builtin>)> = Vec::new();
    for builtin in all {
        let receiver = builtin.receiver.and_then(builtins::type_name);
        let group = receiver.unwrap_or("other values");
        match groups.iter_mut().find(|(name, _)| *name == group) {
            Some((_, members)) => members.push(builtin),
            None => groups.push((group, vec![builtin])),
        }
    }
    groups.sort_by_key(|(name, _)| *name);
    // Several functions of one name stand together; the first is the one that links lead to.
    let mut places = BTreeSet::new();
    for (group, members) in groups {
        body += &format!("<h2 id=\"{0}\">{0}</h2>\n", escape(group));
        for builtin in members {
            let place = format!("{group}.{}", builtin.name);
            let id = match places.insert(place.clone()) {
                true => format!(" id=\"{}\"", escape(&place)),
                false => String::new(),
            };
            body += &format!(
                "<section class=entry{id}><h3>{}</h3>\n{}</section>\n",
                code::code(&builtin.signature),
                code::documentation(&builtin.text)
            );
            index.add(
                &builtin.name,
                &builtin.signature,
                builtin.summary(),
                String::new(),
                format!("language.html#{place}"),
            );
        }
    }
    body
}

fn of_prompt(magics: &[Magic], index: &mut Index) -> String {
    let mut body =
        String::from("<h1>prompt</h1>\n<p>The commands of the prompt and of notebooks.</p>\n");
    for magic in magics {
        let usage = format!("%{} {}", magic.name, magic.args);
        let usage = usage.trim_end();
        body += &format!(
            "<section class=entry id=\"{}\"><h3>{}</h3>\n<p>{}</p>\n",
            magic.name,
            escape(usage),
            code::sentence(magic.summary)
        );
        if !magic.details.is_empty() {
            body += &format!("<p>{}</p>\n", code::sentence(magic.details));
        }
        body += "</section>\n";
        let address = format!("prompt.html#{}", magic.name);
        index.add(
            &format!("%{}", magic.name),
            usage,
            magic.summary,
            magic.details.into(),
            address,
        );
    }
    body
}
