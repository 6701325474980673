// Starts `rlaif-repl lsp` for the Rhai scripts that are open; the cells of notebooks are completed and explained too.

const { workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

exports.activate = () => {
  const command = workspace.getConfiguration("rlaif-repl").get("path");
  const server = { command, args: ["lsp"] };
  client = new LanguageClient("rlaif-repl", "RLAIF scripts", server, { documentSelector: ["rhai"] });
  return client.start();
};

exports.deactivate = () => client?.stop();
