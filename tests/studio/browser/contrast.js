// Finds all text that is seen and the contrast that it has: WCAG 2.2, 1.4.3. Evaluated in the page by driver.py.
() => {
  const parse = (text) => {
    const numbers = text.match(/[\d.]+/g).map(Number);
    return [numbers[0], numbers[1], numbers[2], numbers.length > 3 ? numbers[3] : 1];
  };
  const over = (top, bottom) => {
    const alpha = top[3] + bottom[3] * (1 - top[3]);
    if (!alpha) return [0, 0, 0, 0];
    return [0, 1, 2].map((i) => (top[i] * top[3] + bottom[i] * bottom[3] * (1 - top[3])) / alpha).concat([alpha]);
  };
  const luminance = (color) => {
    const [r, g, b] = color.slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    let color = [0, 0, 0, 0];
    for (let node = element; node; node = node.parentElement) {
      color = over(color, parse(getComputedStyle(node).backgroundColor));
      if (color[3] > 0.999) return color;
    }
    return over(color, [255, 255, 255, 1]);
  };
  const found = [];
  let looked = 0;
  for (const element of document.querySelectorAll("body *")) {
    const field = element.matches("input:not([type=range], [type=checkbox], [type=color], [type=file]), textarea, select");
    const words = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!words && !field) continue;
    if (element.closest("[disabled], [hidden], noscript, option, script, style")) continue;
    const box = element.getBoundingClientRect();
    if (!box.width || !box.height || !element.checkVisibility({ visibilityProperty: true })) continue;
    looked += 1;
    const style = getComputedStyle(element);
    const back = ground(element);
    let opacity = 1;
    for (let node = element; node; node = node.parentElement) opacity *= Number(getComputedStyle(node).opacity);
    const colors = [style.color];
    if (field && element.placeholder) colors.push(getComputedStyle(element, "::placeholder").color);
    for (const text of colors) {
      const front = parse(text);
      front[3] *= opacity;
      const [one, other] = [luminance(over(front, back)), luminance(back)];
      const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
      const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
      if (ratio < (large ? 3 : 4.5)) found.push(`${ratio.toFixed(2)}: ${element.tagName}#${element.id}.${element.className} “${(element.textContent || element.value || "").trim().slice(0, 40)}” ${text} on ${back}`);
    }
  }
  return { looked, found };
}
