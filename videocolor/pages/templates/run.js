document.documentElement.classList.add('js');
document.addEventListener('input', event => {
  const stage = event.target.closest('.stage');
  if (stage) stage.style.setProperty('--at', event.target.value + '%');
});
const pictures = new Map([...document.querySelectorAll('.hint[id] img')].map(image =>
  [image.closest('.hint').id, image.src]));
const seen = new IntersectionObserver(entries => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    seen.unobserve(entry.target);
    for (const link of entry.target.querySelectorAll('.hints a')) {
      const source = pictures.get(link.hash.slice(1));
      if (source) link.prepend(Object.assign(new Image(), {src: source, alt: ''}));
    }
  }
}, {rootMargin: '600px'});
for (const shot of document.querySelectorAll('.shot')) seen.observe(shot);
