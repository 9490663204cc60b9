const box = document.querySelector('main'), pictures = [...document.querySelectorAll('img')], answers = [];
const place = document.querySelector('#place'), ask = document.querySelector('#ask');
const done = document.querySelector('#done');
function csv() {
  const lines = answers.map((answer, index) => [box.dataset.survey, pictures[index].dataset.picture, answer].join(','));
  return ['survey,picture,answer', ...lines].join('\r\n') + '\r\n';
}
function show() {
  pictures.forEach((picture, index) => picture.hidden = index !== answers.length);
  const over = answers.length === pictures.length;
  ask.hidden = over;
  done.hidden = !over;
  place.textContent = over ? 'Thank you.' : 'Picture ' + (answers.length + 1) + ' of ' + pictures.length;
  document.querySelector('#back').disabled = answers.length === 0;
  if (over) {
    document.querySelector('textarea').value = csv();
    document.querySelector('#save').href = 'data:text/csv;charset=utf-8,' + encodeURIComponent(csv());
  }
}
function answer(word) {
  if (answers.length < pictures.length) {
    answers.push(word);
    show();
  }
}
document.querySelector('#real').addEventListener('click', () => answer('real'));
document.querySelector('#colored').addEventListener('click', () => answer('colored'));
document.querySelector('#back').addEventListener('click', () => { answers.pop(); show(); });
document.addEventListener('keydown', event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === 'TEXTAREA') return;
  if (event.key === 'r') answer('real');
  if (event.key === 'c') answer('colored');
});
show();
