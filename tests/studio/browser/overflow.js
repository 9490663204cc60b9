// Elements that stand beyond the left or right edge of the window; what scrolls within itself is cut off by its parent.
() =>
  [...document.querySelectorAll("body *")]
    .filter((element) => {
      const box = element.getBoundingClientRect();
      const inside = element.closest("#reel, .pane, .skip, svg, .visually-hidden");
      return element.checkVisibility() && !inside && box.width && (box.right > innerWidth + 1 || box.left < -1);
    })
    .map((element) => `${element.tagName}#${element.id}.${element.className}`)
