const box = document.getElementById("search");
const list = document.getElementById("found");

/* The name itself first, then names that begin so, names that have it, sentences and options that have it. */
function rank(entry, word) {
  const [name, signature, summary, words] = entry.map(text => text.toLowerCase());
  if (name === word) return 0;
  if (name.startsWith(word)) return 1;
  if (signature.split("(")[0].includes(word)) return 2;
  return (summary + " " + words).includes(word) ? 3 : -1;
}

box.addEventListener("input", () => {
  const word = box.value.trim().toLowerCase();
  const found = word === "" ? [] : ENTRIES.map(entry => [rank(entry, word), entry])
    .filter(([at]) => at >= 0).sort((a, b) => a[0] - b[0]).slice(0, 30);
  list.hidden = found.length === 0;
  list.replaceChildren(...found.map(([, [, signature, summary, , address]]) => {
    const item = document.createElement("li");
    const link = document.createElement("a");
    const small = document.createElement("small");
    link.href = address;
    link.textContent = signature;
    small.textContent = summary;
    item.append(link, small);
    return item;
  }));
});
box.addEventListener("keydown", event => {
  const first = list.querySelector("a");
  if (event.key === "Enter" && first) first.click();
});
list.addEventListener("click", () => { list.hidden = true; });
document.addEventListener("keydown", event => {
  if (event.key === "/" && document.activeElement !== box) { event.preventDefault(); box.focus(); }
});
