// What the official package for JavaScript sees of the service: the same in Node and in a page.

const ENDED = ["completed", "failed", "cancelled", "incomplete"];

const link = (cited) => ({ url: cited.url, title: cited.title, start: cited.start_index, end: cited.end_index });

const chatAnswer = (text, annotations) => ({ text, links: annotations.map((each) => link(each.url_citation)) });

function responseAnswer(response) {
  const [content] = response.output[0].content;
  if (response.output_text !== content.text) throw new Error("output_text is another text");
  return { text: content.text, links: content.annotations.map(link) };
}

export async function report(OpenAI, version, target, options) {
  const settings = { baseURL: target.base_url, maxRetries: 0, ...options };
  const client = new OpenAI({ ...settings, apiKey: target.key });
  const stranger = new OpenAI({ ...settings, apiKey: target.wrong_key });
  const messages = [{ role: "user", content: target.question }];

  async function chat() {
    const { message } = (await client.chat.completions.create({ model: target.model, messages })).choices[0];
    return chatAnswer(message.content, message.annotations);
  }

  async function chatStream() {
    const annotations = [];
    const stream = client.chat.completions.stream({ model: target.model, messages });
    for await (const chunk of stream) {
      for (const { delta } of chunk.choices) annotations.push(...(delta.annotations ?? []));
    }
    const { message } = (await stream.finalChatCompletion()).choices[0];
    return chatAnswer(message.content, annotations);
  }

  async function responseStream() {
    let text = "";
    const links = [];
    const events = await client.responses.create({ model: target.model, input: target.question, stream: true });
    for await (const event of events) {
      if (event.type === "response.output_text.delta") text += event.delta;
      if (event.type === "response.output_text.annotation.added") links.push(link(event.annotation));
    }
    return { text, links };
  }

  async function inBackground() {
    let response = await client.responses.create({ model: target.model, input: target.question, background: true });
    const states = [response.status];
    while (!ENDED.includes(response.status)) {
      response = await client.responses.retrieve(response.id);
      states.push(response.status);
    }
    return [response, [...new Set(states)]];
  }

  async function cancelled() {
    let response = await client.responses.create({ model: target.model, input: target.held_question, background: true });
    while (response.status === "queued") response = await client.responses.retrieve(response.id);
    if (response.status !== "in_progress") throw new Error(`it is ${response.status}`);
    return (await client.responses.cancel(response.id)).status;
  }

  async function inputItems(response) {
    const texts = [];
    for await (const item of client.responses.inputItems.list(response.id)) {
      texts.push(...item.content.map((part) => part.text));
    }
    return texts;
  }

  async function failure(asking) {
    try {
      await asking;
    } catch (error) {
      if (!(error instanceof OpenAI.APIError)) throw error;
      return { type: error.constructor.name, status: error.status, code: error.code };
    }
    throw new Error("there was no error");
  }

  const models = [];
  for await (const model of client.models.list()) models.push(model.id);
  const response = responseAnswer(await client.responses.create({ model: target.model, input: target.question }));
  const [background, states] = await inBackground();
  const embedded = await client.embeddings.create({ model: target.embedding_model, input: target.texts });
  return {
    version,
    models,
    answers: {
      chat: await chat(),
      "chat stream": await chatStream(),
      response,
      "response stream": await responseStream(),
      background: responseAnswer(background),
    },
    failures: {
      "unknown model": await failure(client.chat.completions.create({ model: target.unknown_model, messages })),
      "wrong key": await failure(stranger.models.list()),
    },
    background: states,
    cancelled: await cancelled(),
    input_items: await inputItems(background),
    embeddings: embedded.data.map((each) => [...each.embedding]),
  };
}
