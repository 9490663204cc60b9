// Which shots share their colors, which hints feed which shots, what is left to paint.
import { endOf, hints, shots, state } from "./state.js";

let made = { project: null };

/** All of it, worked out once for each document. */
function known() {
  if (made.project === state.project) return made;
  const list = shots();
  const members = new Map();
  for (const shot of list) if (shot.reuses) members.set(shot.reuses, [...(members.get(shot.reuses) ?? []), shot]);
  const own = new Map();
  for (const hint of hints()) if (hint.enabled) for (const start of hint.shots) own.set(start, [...(own.get(start) ?? []), hint]);
  made = { project: state.project, members, own };
  return made;
}

/** Hints that are on and name this very shot. */
export const ownHints = (shot) => (shot ? known().own.get(shot.start) ?? [] : []);

/** The shot that a shot takes its colors from: itself, unless it returns to an earlier one. */
export const lenderOf = (shot) => (shot?.reuses ? shots()[shot.reuses - 1] ?? shot : shot);

/** Shots that take their colors from this one. */
export const borrowersOf = (shot) => (shot ? known().members.get(shot.number) ?? [] : []);

/** The shot, its lender and all that borrow from it, in film order. */
export function familyOf(shot) {
  const lender = lenderOf(shot);
  return lender ? [lender, ...borrowersOf(lender)] : [];
}

/** Hints that color a shot: its own, else its lender's. */
export const hintsFor = (shot) => ownHints(lenderOf(shot));

/** Numbers of all shots that a hint colors: those that name it, and those that return to one of them. */
export function shotsFed(hint) {
  const named = new Set(hint.shots);
  return shots().filter((shot) => named.has(shot.start) || (shot.reuses && named.has(lenderOf(shot).start))).map((shot) => shot.number);
}

/** Lenders that no hint colors: what is left to paint. */
export const toPaint = () => shots().filter((shot) => !shot.reuses && !ownHints(shot).length);

/** What the colors of a shot depend on, as far as the page knows. */
export const signatureOf = (shot) => JSON.stringify([endOf(shot), shot.reuses, state.project?.settings?.model, hintsFor(shot).map((hint) => [hint.id, hint.origin, hint.points])]);
