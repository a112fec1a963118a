// Makes elements; all text goes in by textContent, so that none of it is ever markup.
export function element(name, content, cls) {
  const made = document.createElement(name);
  if (content !== undefined) made.textContent = content;
  if (cls) made.className = cls;
  return made;
}

export const byId = (id) => document.getElementById(id);

// Writes text only where it has changed: what stays the same is not laid out anew.
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
