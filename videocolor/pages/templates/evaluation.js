for (const box of document.querySelectorAll('.compare')) {
  const pictures = [...box.parentElement.querySelectorAll('.strip img')];
  const [under, over] = box.querySelectorAll('.stage img');
  const bar = box.querySelector('.bar'), range = box.querySelector('input');
  const [left, right] = box.querySelectorAll('select');
  for (const [list, wanted] of [[left, box.dataset.left], [right, box.dataset.right]]) {
    pictures.forEach((picture, index) => list.add(new Option(picture.alt, index)));
    list.selectedIndex = Math.max(0, pictures.findIndex(picture => picture.alt === wanted));
    list.addEventListener('change', show);
  }
  function show() {
    for (const [image, list] of [[under, left], [over, right]]) {
      image.src = pictures[list.value].src;
      image.alt = pictures[list.value].alt;
    }
  }
  function move() {
    over.style.clipPath = 'inset(0 0 0 ' + range.value + '%)';
    bar.style.left = range.value + '%';
  }
  range.addEventListener('input', move);
  show();
  move();
  box.hidden = false;
}
