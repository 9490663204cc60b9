// What the Tab key has reached: [its name, whether its focus is seen, whether it is there at all].
() => {
  const element = document.activeElement;
  const style = getComputedStyle(element.id === "wipe" ? element.firstElementChild : element);
  const box = element.getBoundingClientRect();
  const name = `${element.tagName}#${element.id}#${element.getAttribute("aria-label") || element.textContent.trim().slice(0, 20)}`;
  return [name, style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2, box.width > 0 && box.height > 0];
}
