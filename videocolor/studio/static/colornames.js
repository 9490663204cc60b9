// Colors that things had, by subject: [subject, [[color, name], ...]]. Skin from light to dark.
export const PALETTES = [
  ["Skin", [["#f0cbb0", "skin, very light"], ["#dba987", "skin, light"], ["#b9815e", "skin, medium"], ["#8a5a3d", "skin, brown"], ["#553527", "skin, dark"], ["#b5584f", "lips"]]],
  ["Hair", [["#2a211c", "black hair"], ["#54382a", "brown hair"], ["#84502f", "auburn hair"], ["#bd9358", "fair hair"], ["#b8b2aa", "gray hair"]]],
  ["Foliage", [["#7f9a45", "young leaves"], ["#55743a", "summer leaves"], ["#2f4f37", "conifers"], ["#a9783a", "autumn leaves"], ["#6f8a4a", "meadow"], ["#9aa05a", "dry grass"], ["#c2a763", "straw, ripe corn"]]],
  ["Sky and water", [["#7fa3c7", "clear sky"], ["#b7c9d6", "haze at the horizon"], ["#d9a47f", "sky at dusk"], ["#3f6b80", "sea"], ["#65766a", "river"], ["#94b5b0", "shallow water"]]],
  ["Stone and brick", [["#96503c", "red brick"], ["#c49f70", "yellow brick"], ["#d2c6a8", "limestone"], ["#b29a78", "sandstone"], ["#85858a", "granite"], ["#58626e", "slate"], ["#ad6342", "roof tiles"], ["#7a6a58", "earth"]]],
  ["Cloth", [["#a3946b", "khaki"], ["#5d5b3c", "olive drab"], ["#2c3550", "navy serge"], ["#646e66", "field gray"], ["#8ea2b4", "horizon blue"], ["#a83a3a", "red cloth"], ["#c9b690", "linen"], ["#33507a", "blue cotton"], ["#6b4a36", "brown tweed"]]],
  ["Wood", [["#c69d66", "pine"], ["#8b5c35", "oak"], ["#643626", "mahogany"], ["#4e392a", "walnut"], ["#9b8e7c", "weathered wood"], ["#a9743c", "varnish"]]],
  ["Metal and paint", [["#b59a52", "brass"], ["#a5623f", "copper"], ["#8a4f32", "rust"], ["#3c5a46", "engine green"], ["#86312c", "oxide red"], ["#d5c8a4", "cream paint"], ["#8a8a8a", "no color: steel, gray"]]],
];
const NAMES = new Map(PALETTES.flatMap(([, colors]) => colors.map(([color, name]) => [color, name])));

/** The name of a color of the palettes; else the color itself. */
export const nameOfColor = (color) => NAMES.get(color) ?? color;

/** "#rrggbb" of what a person typed: a hex number, a name of the palettes or its beginning, a name that CSS knows; null: none. */
export function colorOfText(text) {
  const word = text.trim().toLowerCase();
  const hex = /^#?([0-9a-f]{6}|[0-9a-f]{3})$/.exec(word)?.[1];
  if (hex) return `#${hex.length === 3 ? [...hex].map((digit) => digit + digit).join("") : hex}`;
  if (!word) return null;
  const names = [...NAMES];
  const found = names.find(([, name]) => name === word) ?? names.find(([, name]) => name.startsWith(word)) ?? names.find(([, name]) => name.includes(word));
  if (found) return found[0];
  if (!/^[a-z]+$/.test(word) || !CSS.supports("color", word)) return null;
  const pen = new OffscreenCanvas(1, 1).getContext("2d");
  pen.fillStyle = "#010203"; // "inherit" and its like leave it
  pen.fillStyle = word;
  return pen.fillStyle === "#010203" || !/^#[0-9a-f]{6}$/.test(pen.fillStyle) ? null : pen.fillStyle;
}
