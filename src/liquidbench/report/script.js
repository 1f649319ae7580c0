// The page is whole without this script: it adds tabs, a switch for dark and light, values on hovering, and the
// highlighting of one model throughout.
"use strict";
(() => {
  const root = document.documentElement;
  const tabs = [...document.querySelectorAll(".tabs a")];
  const sections = tabs.map((tab) => document.querySelector(tab.getAttribute("href")));

  // Tabs
  root.classList.add("tabbed");
  tabs[0].parentElement.setAttribute("role", "tablist");
  tabs.forEach((tab, index) => {
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", sections[index].id);
    sections[index].setAttribute("role", "tabpanel");
    sections[index].tabIndex = -1;
  });

  const show = (index, scroll) => {
    tabs.forEach((tab, other) => {
      tab.setAttribute("aria-selected", String(other === index));
      tab.tabIndex = other === index ? 0 : -1;
      sections[other].classList.toggle("current", other === index);
    });
    tabs[index].scrollIntoView({ block: "nearest", inline: "center" });
    if (scroll) window.scrollTo(0, 0);
  };
  const wanted = () => sections.findIndex((section) => "#" + section.id === location.hash);
  window.addEventListener("hashchange", () => { if (wanted() >= 0) show(wanted(), true); });
  show(Math.max(0, wanted()), wanted() > 0);

  tabs[0].parentElement.addEventListener("keydown", (event) => {
    const at = tabs.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    const next = (to + tabs.length) % tabs.length;
    location.hash = tabs[next].getAttribute("href");
    tabs[next].focus({ preventScroll: true });
  });

  // Dark and light: the system's choice until the reader makes one. A file opened from disk may have no storage.
  const theme = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const stored = (value) => {
    try {
      if (value) localStorage.setItem("liquidbench-theme", value);
      return localStorage.getItem("liquidbench-theme");
    } catch {
      return value;
    }
  };
  const paint = (choice) => {
    if (choice) root.dataset.theme = choice;
    const dark = (choice || (system.matches ? "dark" : "light")) === "dark";
    theme.textContent = dark ? "Light" : "Dark";
    theme.setAttribute("aria-label", `Switch to ${dark ? "light" : "dark"} colours`);
  };
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const choice = theme.textContent.toLowerCase();
    stored(choice);
    paint(choice);
  });
  system.addEventListener("change", () => paint(root.dataset.theme));
  paint(stored());

  // Values on hovering: the drawings' own titles, shown at once instead of after a delay.
  const tip = document.getElementById("tip");
  for (const title of document.querySelectorAll("svg title")) {
    const parent = title.parentElement;
    if (parent.classList.contains("at")) parent.dataset.tip = title.textContent;
    title.remove();
  }
  document.addEventListener("pointermove", (event) => {
    const target = event.target.closest?.("[data-tip]");
    tip.hidden = !target;
    if (!target) return;
    tip.textContent = target.dataset.tip;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.min(event.clientX + 14, innerWidth - width - 8)}px`;
    tip.style.top = `${event.clientY > height + 24 ? event.clientY - height - 12 : event.clientY + 20}px`;
  });
  document.addEventListener("pointerleave", () => { tip.hidden = true; });

  // Every figure as a file of its own. What the style sheet says is written into the drawing, in light colours, for
  // programs that know neither classes nor variables.
  const written = [
    "fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "opacity",
  ];
  const lettering = ["font-size", "font-weight", "font-style"];
  const neutral = {
    "fill-opacity": "1", stroke: "none", "stroke-width": "1px", "stroke-dasharray": "none", "stroke-linecap": "butt",
    "stroke-linejoin": "miter", opacity: "1", "font-style": "normal",
  };
  const standalone = (svg) => {
    const before = root.className, theme = root.dataset.theme;
    root.classList.remove("focused");
    root.classList.add("still");
    root.dataset.theme = "light";
    const copy = svg.cloneNode(true), copies = [...copy.querySelectorAll("*")];
    const gone = [];
    [...svg.querySelectorAll("*")].forEach((element, index) => {
      const style = getComputedStyle(element), twin = copies[index];
      if (style.display === "none" || element.classList.contains("hit")) gone.push(twin);
      const names = element.tagName === "g" ? ["opacity"] : element.tagName === "text" ? [...written, ...lettering] : written;
      for (const name of names) {
        const value = style.getPropertyValue(name);
        if (value !== neutral[name]) twin.setAttribute(name, value);
      }
      if (element.dataset.tip) twin.prepend(titled(element.dataset.tip));
    });
    for (const twin of gone) twin.remove();
    copy.setAttribute("font-family", getComputedStyle(svg).fontFamily);
    root.className = before;
    if (theme) root.dataset.theme = theme; else delete root.dataset.theme;
    for (const element of [copy, ...copies]) {
      for (const name of [...element.attributes].map((one) => one.name)) {
        if (/^(class|style|data-.*)$/.test(name)) element.removeAttribute(name);
      }
    }
    const frame = svg.viewBox.baseVal, drawn = svg.getBBox();
    const left = Math.min(frame.x, drawn.x), top = Math.min(frame.y, drawn.y);
    const width = Math.ceil(Math.max(frame.x + frame.width, drawn.x + drawn.width) - left);
    const height = Math.ceil(Math.max(frame.y + frame.height, drawn.y + drawn.height) - top);
    const box = { x: left, y: top, width, height };
    const paper = document.createElementNS(svg.namespaceURI, "rect");
    for (const [name, value] of Object.entries({ ...box, fill: "#ffffff" })) paper.setAttribute(name, value);
    copy.prepend(titled(svg.getAttribute("aria-label")), paper);
    for (const [name, value] of Object.entries({ viewBox: Object.values(box).join(" "), width, height })) copy.setAttribute(name, value);
    return new XMLSerializer().serializeToString(copy);
  };
  const titled = (text) => {
    const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
    title.textContent = text;
    return title;
  };
  for (const figure of document.querySelectorAll("figure, .drawing")) {
    const svg = figure.querySelector("svg.figure"), label = svg.getAttribute("aria-label");
    const save = document.createElement("button");
    save.type = "button";
    save.className = "save";
    save.textContent = "SVG";
    save.setAttribute("aria-label", `Save as SVG: ${label}`);
    save.addEventListener("click", () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([standalone(svg)], { type: "image/svg+xml" }));
      const name = label.split(". ")[0].toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 80);
      link.download = `${name || "figure"}.svg`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    });
    figure.append(save);
  }

  addEventListener("beforeprint", () => { for (const folded of document.querySelectorAll("details")) folded.open = true; });

  // One model throughout: pointing at its name shows it for a moment, pressing its button keeps it.
  const buttons = [...document.querySelectorAll(".legend button")];
  const drawn = [...document.querySelectorAll(".figure .model")];
  const kept = new Set();
  const apply = (names) => {
    root.classList.toggle("focused", names.size > 0);
    // A model in the variant of its authors goes with the model, a contest with either of the two.
    for (const group of drawn) {
      const { model, rival } = group.dataset;
      group.classList.toggle("focus", names.has(model.replace(/†$/, "")) || (rival !== undefined && names.has(rival)));
    }
    for (const button of buttons) button.ariaPressed = String(kept.has(button.dataset.model));
  };
  for (const button of buttons) {
    button.addEventListener("click", () => {
      if (!kept.delete(button.dataset.model)) kept.add(button.dataset.model);
      apply(kept);
    });
  }
  for (const name of document.querySelectorAll(".legend button, .model-name, .figure .behind")) {
    name.addEventListener("pointerenter", () => apply(new Set([...kept, name.dataset.model.replace(/†$/, "")])));
    name.addEventListener("pointerleave", () => apply(kept));
  }
  addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    kept.clear();
    apply(kept);
  });
})();
