package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// A redisServer is a redis-server of the test's own. It keeps its address when it goes down and comes up again.
type redisServer struct {
	address   string
	arguments []string
	process   *process
	client    *redis.Client
}

func startRedis(arguments ...string) (*redisServer, error) {
	address := freeAddress()
	r := &redisServer{address: address, arguments: arguments, client: redis.NewClient(&redis.Options{Addr: address, Protocol: 2, MaxRetries: -1})}
	return r, r.up()
}

func (r *redisServer) url() string { return "redis://" + r.address + "/1" }

func (r *redisServer) up() (err error) {
	host, port, _ := strings.Cut(r.address, ":")
	arguments := append([]string{"--bind", host, "--port", port, "--save", "", "--appendonly", "no"}, r.arguments...)
	r.process, err = start(os.TempDir(), nil, "redis-server", arguments...)
	if err != nil {
		return err
	}
	return r.process.waitFor(10*time.Second, func() error { return r.client.Ping(context.Background()).Err() })
}

func (r *redisServer) down() { r.process.kill() }

func (r *redisServer) close() {
	r.client.Close()
	r.process.kill()
}

// do runs what stands behind "redis>": a command with, after " => ", the reply that it gives in the end, or one of
// (down), (up) and (pause 1500).
func (r *redisServer) do(text string) error {
	switch verb, argument := action(text); verb {
	case "down":
		r.down()
		return nil
	case "up":
		return r.up()
	case "pause": // CLIENT PAUSE answers only when it is over if it comes through a connection of its own
		return r.client.Do(context.Background(), "CLIENT", "PAUSE", argument, "ALL").Err()
	}
	command, reply, awaited := strings.Cut(text, " => ")
	arguments, err := redisArguments(command)
	if err != nil {
		return err
	}
	got, err := r.run(arguments)
	for deadline := time.Now().Add(3 * time.Second); err == nil && awaited && got != reply; got, err = r.run(arguments) {
		if time.Now().After(deadline) {
			return fmt.Errorf("got %s", got)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

// redisArguments splits a command at blanks. The payload of PUBLISH is the rest of the line, or (bytes "…").
func redisArguments(command string) ([]any, error) {
	var arguments []any
	words := strings.Split(command, " ")
	if words[0] == "PUBLISH" {
		words = strings.SplitN(command, " ", 3)
		if verb, bytes := action(words[2]); verb == "bytes" {
			words[2] = bytes
		}
		words[2] = grow(words[2])
	}
	for _, word := range words {
		arguments = append(arguments, word)
	}
	return arguments, nil
}

// run returns the last element of the reply: of PUBSUB NUMSUB the count.
func (r *redisServer) run(arguments []any) (string, error) {
	reply, err := r.client.Do(context.Background(), arguments...).Result()
	if err != nil {
		return "", fmt.Errorf("ask Redis: %w", err)
	}
	for {
		list, ok := reply.([]any)
		if !ok {
			break
		}
		if len(list) == 0 {
			return "(nothing)", nil
		}
		reply = list[len(list)-1]
	}
	if n, ok := reply.(int64); ok {
		return strconv.FormatInt(n, 10), nil
	}
	return fmt.Sprint(reply), nil
}
