// The same service by node's Intl.Segmenter: serves on a free port of 127.0.0.1 and prints it.
const net = require("node:net");

const segmenter = new Intl.Segmenter("und", { granularity: "word" });

function answer(message) {
  const text = message.toString("utf8");
  const unique = new Set();
  let count = 0;
  for (const { segment, isWordLike } of segmenter.segment(text)) {
    if (isWordLike) {
      unique.add(segment);
      count += 1;
    }
  }
  return JSON.stringify({ unique_words: [...unique], word_count: count, length: [...text].length, bytes: message.length });
}

const server = net.createServer({ noDelay: true }, (connection) => {
  let rest = Buffer.alloc(0);
  connection.on("data", (data) => {
    if (rest.length) data = Buffer.concat([rest, data]);
    let replies = "";
    let start = 0;
    for (let end; (end = data.indexOf(10, start)) >= 0; start = end + 1) {
      replies += answer(data.subarray(start, end)) + "\n";
    }
    rest = data.subarray(start);
    if (replies) connection.write(replies);
  });
  connection.on("error", () => {});
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
