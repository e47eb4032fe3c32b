"use strict";
const root = document.documentElement;
const tip = document.getElementById("tip");
const dark = matchMedia("(prefers-color-scheme: dark)");

const theme = document.getElementById("theme");
const isDark = () => (root.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
const name = () => { theme.textContent = isDark() ? "Light" : "Dark"; };
theme.hidden = false;
theme.setAttribute("aria-label", "Change between light and dark");
theme.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; name(); });
dark.addEventListener("change", name);
name();

for (const button of document.querySelectorAll(".copy")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      getSelection().selectAllChildren(code);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });
}

function reveal(id) {
  const found = id && document.getElementById(id);
  if (!found) return;
  for (let at = found; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  found.scrollIntoView({ block: "center" });
  if (found.tagName === "DETAILS") found.firstElementChild.focus({ preventScroll: true });
}
addEventListener("hashchange", () => reveal(location.hash.slice(1)));
document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#a"]');
  if (link && link.hash === location.hash) reveal(link.hash.slice(1));
});
if (location.hash) reveal(location.hash.slice(1));

const id = (point) => "a" + point.getAttribute("aria-label").replace("attempt ", "");
function show(point) {
  const row = document.querySelector(`#${id(point)} > summary`);
  const box = point.getBoundingClientRect();
  const told = row && `Attempt ${row.textContent} (${row.parentElement.querySelector(".from").textContent.split(";")[0]})`;
  tip.textContent = (told || point.getAttribute("aria-label")).replace(/\s+/g, " ");
  tip.hidden = false;
  tip.style.left = Math.max(4, Math.min(box.left + scrollX, root.clientWidth - tip.offsetWidth - 8)) + "px";
  tip.style.top = box.top + scrollY - tip.offsetHeight - 8 + "px";
}
for (const chart of document.querySelectorAll(".points")) {
  const points = [...chart.querySelectorAll('[aria-label^="attempt "]')];
  points.sort((a, b) => id(a).slice(1) - id(b).slice(1));
  let current = -1;
  const go = (to) => {
    points[current]?.classList.remove("current");
    current = Math.max(0, Math.min(points.length - 1, to));
    points[current].classList.add("current");
    show(points[current]);
  };
  const leave = () => { points[current]?.classList.remove("current"); tip.hidden = true; };
  chart.addEventListener("pointerover", (event) => {
    const point = event.target.closest('[aria-label^="attempt "]');
    if (point) go(points.indexOf(point));
  });
  chart.addEventListener("pointerleave", leave);
  chart.addEventListener("blur", leave);
  chart.addEventListener("click", (event) => {
    const point = event.target.closest('[aria-label^="attempt "]');
    if (point) location.hash = id(point);
  });
  chart.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, Home: -points.length, End: points.length }[event.key];
    if (step && points.length) { go(current + step); event.preventDefault(); }
    if (event.key === "Escape") leave();
    if (event.key === "Enter" && current >= 0) location.hash = id(points[current]);
  });
}

for (const link of document.querySelectorAll("[data-task]")) {
  const lines = [...document.querySelectorAll('#courses .chart [aria-roledescription="line mark"]')];
  const light = (on) => () => {
    for (const line of lines) line.classList.toggle("dim", on && line.getAttribute("aria-label") !== link.dataset.task);
  };
  for (const event of ["pointerenter", "focus"]) link.addEventListener(event, light(true));
  for (const event of ["pointerleave", "blur"]) link.addEventListener(event, light(false));
}
