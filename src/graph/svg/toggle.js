// Opens and closes groups. Each group's own drawing (.in) carries its places with all inner groups closed
// in data-l; arrange() pushes them aside for the groups that are open, as arrange.rs does.
(() => {
  const BAR = 24, MARGIN = 18;
  const svg = document.currentScript.ownerSVGElement;
  const child = (g, name) => [...g.children].find(c => c.classList.contains(name));
  const set = (node, values) => Object.entries(values).forEach(([k, v]) => node.setAttribute(k, v));

  // Arranges what is in a group and returns its size.
  function arrange(inside) {
    const l = inside.layout ??= JSON.parse(inside.dataset.l);
    const boxes = [...inside.children].filter(c => c.classList.contains("box"));
    const edges = [...inside.children].filter(c => c.classList.contains("edge"));
    const sizes = boxes.map((box, i) => frame(box, l.b[i]));
    const rows = l.r.map(row => [...row]);
    let grown = 0;
    l.r.forEach(([top, height], r) => {
      const tallest = Math.max(height, ...sizes.filter((_, i) => l.b[i][0] === r).map(s => s[1]));
      rows[r] = [top + grown, tallest];
      grown += tallest - height;
    });
    const pushes = rows.map(() => []);
    sizes.forEach(([width], i) => {
      const [row, x, closed] = l.b[i];
      if (width > closed) pushes[row].push([x, (width - closed) / 2]);
    });
    const aside = (row, x) => pushes[row].reduce(
      (sum, [at, push]) => sum + (Math.abs(x - at) < 0.05 ? 0 : push * Math.sign(x - at)), x);
    let left = Infinity, right = -Infinity;
    const spread = (x, before, after) => {
      left = Math.min(left, x - before);
      right = Math.max(right, x + after);
    };
    l.b.forEach(([row, x, , , reach], i) =>
      spread(aside(row, x), sizes[i][0] / 2, Math.max(reach, sizes[i][0] / 2)));
    l.e.forEach(([from, , , passed]) =>
      passed.forEach((x, i) => spread(aside(l.b[from][0] + 1 + i, x), 0, 0)));
    const shift = (row, x) => aside(row, x) - left + MARGIN;
    boxes.forEach((box, i) => {
      const [row, x] = l.b[i];
      box.setAttribute("transform", `translate(${shift(row, x)} ${rows[row][0]})`);
      const note = child(box, "note");
      if (note) note.setAttribute("y", sizes[i][1] + 12);
    });
    edges.forEach((edge, i) => edge.setAttribute("d", path(l, l.e[i], sizes, rows, shift)));
    return [right - left + 2 * MARGIN, l.h + grown];
  }

  // Sizes the frame of an open group; returns the size of the box as it is shown.
  function frame(box, [, , width, height]) {
    const wide = child(box, "wide");
    if (!wide || wide.getAttribute("display") === "none") return [width, height];
    const holder = wide.lastElementChild;
    const [w, h] = arrange(holder.firstElementChild);
    const full = Math.max(w, width);
    holder.setAttribute("transform", `translate(${-w / 2} ${BAR})`);
    set(child(wide, "frame"), { x: -full / 2, width: full, height: h + BAR });
    set(child(wide, "bar").querySelector("rect"), { x: -full / 2, width: full });
    return [full, h + BAR];
  }

  function path(l, [from, to, port, passed], sizes, rows, shift) {
    const [row, start] = l.b[from];
    let x = shift(row, start), y = rows[row][0] + sizes[from][1];
    let text = `M${x} ${y}`;
    const bottom = rows[row][0] + rows[row][1];
    if (bottom > y) text += `L${x} ${y = bottom}`;
    const curve = (tx, ty) => {
      const middle = (y + ty) / 2;
      text += `C${x} ${middle} ${tx} ${middle} ${tx} ${ty}`;
      [x, y] = [tx, ty];
    };
    passed.forEach((at, i) => {
      const [top, height] = rows[row + 1 + i];
      const aside = shift(row + 1 + i, at);
      curve(aside, top);
      curve(aside, top + height);
    });
    const [target, end] = l.b[to];
    curve(shift(target, end) + port, rows[target][0]);
    return text;
  }

  function toggle(box, open) {
    child(box, "shut").toggleAttribute("display", false);
    child(box, "wide").toggleAttribute("display", false);
    child(box, open ? "shut" : "wide").setAttribute("display", "none");
  }

  function draw() {
    const [width, height] = arrange(svg.querySelector(".in"));
    const w = Math.max(320, Math.ceil(width)), h = Math.ceil(height + Number(svg.dataset.title));
    set(svg, { width: w, height: h, viewBox: `0 0 ${w} ${h}` });
  }

  svg.addEventListener("click", event => {
    const handle = event.target.closest(".shut, .bar");
    if (!handle) return;
    const open = handle.classList.contains("shut");
    const box = handle.closest(".box");
    const before = handle.getBoundingClientRect().top;
    toggle(box, open);
    if (event.shiftKey) box.querySelectorAll(".box").forEach(b => child(b, "wide") && toggle(b, open));
    draw();
    // What was clicked stays under the pointer.
    const shown = child(box, open ? "wide" : "shut").getBoundingClientRect();
    window.scrollBy((shown.left + shown.right) / 2 - event.clientX, shown.top - before);
  });
})();
