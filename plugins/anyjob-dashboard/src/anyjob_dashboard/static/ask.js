// Asks the server for something, and tells a person what came of it.
import { byId, write } from "./dom.js";

let timer = 0;

export function say(text) {
  const toast = byId("toast");
  toast.hidden = !text;
  write(toast, text);
  clearTimeout(timer);
  timer = setTimeout(() => { toast.hidden = true; }, 6000);
}

// Returns what a path gives; null where there is none, or it cannot be had now.
export async function get(path) {
  try {
    const answer = await fetch(path);
    const told = await answer.json();
    if (answer.ok) return told;
    say(told.said);
  } catch (error) {
    say(`the dashboard does not answer: ${error.message}`);
  }
  return null;
}

export async function act(action, jobs) {
  try {
    const answer = await fetch("/actions", { method: "POST", body: JSON.stringify({ action, jobs }) });
    say((await answer.json()).said);
  } catch (error) {
    say(`the dashboard does not answer: ${error.message}`);
  }
}
