// What the official package for Go sees of the service: a target as JSON on stdin, a report as JSON on stdout.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"runtime/debug"
	"slices"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/openai/openai-go/v3/responses"
)

const packageName = "github.com/openai/openai-go/v3"

type target struct {
	BaseURL        string   `json:"base_url"`
	Key            string   `json:"key"`
	WrongKey       string   `json:"wrong_key"`
	Model          string   `json:"model"`
	UnknownModel   string   `json:"unknown_model"`
	Question       string   `json:"question"`
	HeldQuestion   string   `json:"held_question"`
	EmbeddingModel string   `json:"embedding_model"`
	Texts          []string `json:"texts"`
}

type link struct {
	URL   string `json:"url"`
	Title string `json:"title"`
	Start int64  `json:"start"`
	End   int64  `json:"end"`
}

type answer struct {
	Text  string `json:"text"`
	Links []link `json:"links"`
}

type failure struct {
	Type   string `json:"type"`
	Status int    `json:"status"`
	Code   string `json:"code"`
}

type report struct {
	Version    string             `json:"version"`
	Models     []string           `json:"models"`
	Answers    map[string]answer  `json:"answers"`
	Failures   map[string]failure `json:"failures"`
	Background []string           `json:"background"`
	Cancelled  string             `json:"cancelled"`
	InputItems []string           `json:"input_items"`
	Embeddings [][]float64        `json:"embeddings"`
}

var ctx = context.Background()

func main() {
	var asked target
	must(json.NewDecoder(os.Stdin).Decode(&asked))
	must(json.NewEncoder(os.Stdout).Encode(see(asked)))
}

func see(asked target) report {
	client, stranger := clientOf(asked, asked.Key), clientOf(asked, asked.WrongKey)
	background, states := inBackground(client, asked)
	_, unknown := client.Chat.Completions.New(ctx, chatParams(asked, asked.UnknownModel))
	_, wrong := stranger.Responses.New(ctx, responseParams(asked, asked.Question))
	return report{
		Version: version(),
		Models:  models(client),
		Answers: map[string]answer{
			"chat":            chat(client, asked),
			"chat stream":     chatStream(client, asked),
			"response":        responseAnswer(got(client.Responses.New(ctx, responseParams(asked, asked.Question)))),
			"response stream": responseStream(client, asked),
			"background":      responseAnswer(background),
		},
		Failures:   map[string]failure{"unknown model": failureOf(unknown), "wrong key": failureOf(wrong)},
		Background: states,
		Cancelled:  cancelled(client, asked),
		InputItems: inputItems(client, background.ID),
		Embeddings: embeddings(client, asked),
	}
}

func clientOf(asked target, key string) openai.Client {
	return openai.NewClient(option.WithBaseURL(asked.BaseURL), option.WithAPIKey(key), option.WithMaxRetries(0))
}

func chatParams(asked target, model string) openai.ChatCompletionNewParams {
	messages := []openai.ChatCompletionMessageParamUnion{openai.UserMessage(asked.Question)}
	return openai.ChatCompletionNewParams{Model: model, Messages: messages}
}

func chat(client openai.Client, asked target) answer {
	message := got(client.Chat.Completions.New(ctx, chatParams(asked, asked.Model))).Choices[0].Message
	return answer{message.Content, chatLinks(message.Annotations)}
}

// The package's type of a delta has no annotations; they stand in what it received.
func chatStream(client openai.Client, asked target) answer {
	var joined openai.ChatCompletionAccumulator
	links := []link{}
	stream := client.Chat.Completions.NewStreaming(ctx, chatParams(asked, asked.Model))
	for stream.Next() {
		joined.AddChunk(stream.Current())
		for _, choice := range stream.Current().Choices {
			var extra struct {
				Annotations []openai.ChatCompletionMessageAnnotation `json:"annotations"`
			}
			must(json.Unmarshal([]byte(choice.Delta.RawJSON()), &extra))
			links = append(links, chatLinks(extra.Annotations)...)
		}
	}
	must(stream.Err())
	return answer{joined.Choices[0].Message.Content, links}
}

func chatLinks(annotations []openai.ChatCompletionMessageAnnotation) []link {
	links := []link{}
	for _, each := range annotations {
		cited := each.URLCitation
		links = append(links, link{cited.URL, cited.Title, cited.StartIndex, cited.EndIndex})
	}
	return links
}

func responseParams(asked target, question string) responses.ResponseNewParams {
	input := responses.ResponseNewParamsInputUnion{OfString: openai.String(question)}
	return responses.ResponseNewParams{Model: asked.Model, Input: input}
}

func responseAnswer(response *responses.Response) answer {
	links := []link{}
	for _, each := range response.Output[0].Content[0].Annotations {
		links = append(links, link{each.URL, each.Title, each.StartIndex, each.EndIndex})
	}
	return answer{response.OutputText(), links}
}

func responseStream(client openai.Client, asked target) answer {
	joined := answer{Links: []link{}}
	stream := client.Responses.NewStreaming(ctx, responseParams(asked, asked.Question))
	for stream.Next() {
		switch event := stream.Current().AsAny().(type) {
		case responses.ResponseTextDeltaEvent:
			joined.Text += event.Delta
		case responses.ResponseOutputTextAnnotationAddedEvent:
			cited := event.Annotation
			joined.Links = append(joined.Links, link{cited.URL, cited.Title, cited.StartIndex, cited.EndIndex})
		}
	}
	must(stream.Err())
	return joined
}

func inBackground(client openai.Client, asked target) (*responses.Response, []string) {
	params := responseParams(asked, asked.Question)
	params.Background = openai.Bool(true)
	response := got(client.Responses.New(ctx, params))
	states := []string{string(response.Status)}
	for response.Status == responses.ResponseStatusQueued || response.Status == responses.ResponseStatusInProgress {
		response = got(client.Responses.Get(ctx, response.ID, responses.ResponseGetParams{}))
		states = append(states, string(response.Status))
	}
	return response, slices.Compact(states)
}

func cancelled(client openai.Client, asked target) string {
	params := responseParams(asked, asked.HeldQuestion)
	params.Background = openai.Bool(true)
	response := got(client.Responses.New(ctx, params))
	for response.Status == responses.ResponseStatusQueued {
		response = got(client.Responses.Get(ctx, response.ID, responses.ResponseGetParams{}))
	}
	if response.Status != responses.ResponseStatusInProgress {
		log.Fatalf("it is %s", response.Status)
	}
	return string(got(client.Responses.Cancel(ctx, response.ID)).Status)
}

func inputItems(client openai.Client, id string) []string {
	texts := []string{}
	pages := client.Responses.InputItems.ListAutoPaging(ctx, id, responses.InputItemListParams{})
	for pages.Next() {
		for _, part := range pages.Current().AsMessage().Content {
			texts = append(texts, part.Text)
		}
	}
	must(pages.Err())
	return texts
}

func models(client openai.Client) []string {
	names := []string{}
	pages := client.Models.ListAutoPaging(ctx)
	for pages.Next() {
		names = append(names, pages.Current().ID)
	}
	must(pages.Err())
	return names
}

func embeddings(client openai.Client, asked target) [][]float64 {
	input := openai.EmbeddingNewParamsInputUnion{OfArrayOfStrings: asked.Texts}
	made := got(client.Embeddings.New(ctx, openai.EmbeddingNewParams{Model: asked.EmbeddingModel, Input: input}))
	vectors := [][]float64{}
	for _, each := range made.Data {
		vectors = append(vectors, each.Embedding)
	}
	return vectors
}

func failureOf(err error) failure {
	var known *openai.Error
	if !errors.As(err, &known) {
		log.Fatalf("not the package's error: %v", err)
	}
	return failure{fmt.Sprintf("%T", known), known.StatusCode, known.Code}
}

func version() string {
	built, _ := debug.ReadBuildInfo()
	for _, module := range built.Deps {
		if module.Path == packageName {
			return module.Version
		}
	}
	return ""
}

func got[T any](value T, err error) T {
	must(err)
	return value
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
