//! Models of the Hugging Face hub.

use crate::diag::Result;
use crate::host::{Call, Key, Kind, ScriptFn, Topic, function};
use crate::hub::{Wanted, fetch};

pub(super) const TOPIC: Topic = Topic {
    name: "hub",
    summary: "Models of the Hugging Face hub.",
    functions,
    types: Vec::new,
};

const FETCH: &[Key] = &[
    Key::text("revision", "main", "A branch, tag or commit."),
    Key::optional(
        "files",
        Kind::Array,
        "Patterns of files, * standing for any characters; what a model needs if left out.",
    ),
    Key::bool("offline", false, "Only look into the cache."),
];

fn functions() -> Vec<ScriptFn> {
    vec![
        function("fetch", "Fetches a model of the Hugging Face hub and gives the folder it is in.")
            .param("name", Kind::HubModel, "The model: org/name.")
            .options(FETCH)
            .returns("string")
            .details("The folder is in the cache of huggingface_hub (HF_HUB_CACHE, HF_HOME); what is there is not fetched again, what was begun goes on. HF_ENDPOINT names another hub, HF_TOKEN opens what is private, HF_HUB_OFFLINE=1 keeps off the network.")
            .example("try { fetch(\"nobody/nothing\", #{offline: true}) } catch (e) { print(\"never fetched\") }", "never fetched")
            .run(run),
    ]
}

fn run(call: &mut Call) -> Result<String> {
    let wanted = Wanted {
        name: call.get("name")?,
        revision: call.options.get("revision")?,
        files: call.options.get::<Option<_>>("files")?.unwrap_or_default(),
    };
    let mut settings = call.host.hub()?.clone();
    settings.offline |= call.options.get::<bool>("offline")?;
    let interrupt = call.host.interrupt().clone().into();
    let mut progress = None;
    let folder = fetch(&wanted, &settings, &interrupt, &mut |step| {
        let progress = progress.get_or_insert_with(|| call.host.progress("fetch", 100));
        progress.set(step.percent(), step.message());
    })?;
    Ok(folder.display().to_string())
}
