package stage

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// A Redis is a redis-server for one test. It keeps its address when it goes down and up again.
type Redis struct {
	Address   string
	arguments []string
	Process   *Process
	Client    *redis.Client
}

// StartRedis starts a redis-server. arguments are further settings for it.
func StartRedis(arguments ...string) (*Redis, error) {
	address := FreeAddress()
	r := &Redis{Address: address, arguments: arguments, Client: redis.NewClient(&redis.Options{Addr: address, Protocol: 2, MaxRetries: -1})}
	return r, r.Up()
}

// URL returns the URL of database 1.
func (r *Redis) URL() string { return "redis://" + r.Address + "/1" }

// Up starts Redis at its address and waits until it answers.
func (r *Redis) Up() (err error) {
	host, port, _ := strings.Cut(r.Address, ":")
	arguments := append([]string{"--bind", host, "--port", port, "--save", "", "--appendonly", "no"}, r.arguments...)
	r.Process, err = Start(os.TempDir(), nil, "redis-server", arguments...)
	if err != nil {
		return err
	}
	return r.Process.WaitFor(func() error { return r.Client.Ping(context.Background()).Err() })
}

// Down kills Redis. Its data is lost.
func (r *Redis) Down() { r.Process.Kill() }

// Close kills Redis and closes the client.
func (r *Redis) Close() {
	r.Client.Close()
	r.Process.Kill()
}

// Do runs a "redis>" step: a command with, after " => ", the reply to wait for, or one of (down),
// (up), (stop), (continue) and (pause 1500).
func (r *Redis) Do(text string) error {
	switch verb, argument := Action(text); verb {
	case "down":
		r.Down()
		return nil
	case "up":
		return r.Up()
	case "stop": // it keeps its connections open and does not answer
		r.Process.Signal(syscall.SIGSTOP)
		return nil
	case "continue":
		r.Process.Signal(syscall.SIGCONT)
		return nil
	case "pause": // on a connection of its own, CLIENT PAUSE would answer only after the pause
		return r.Client.Do(context.Background(), "CLIENT", "PAUSE", argument, "ALL").Err()
	}
	command, reply, awaited := strings.Cut(text, " => ")
	arguments, err := redisArguments(command)
	if err != nil {
		return err
	}
	var got string
	if !Await(func() bool {
		got, err = r.Run(arguments)
		return err != nil || !awaited || got == reply
	}) {
		return fmt.Errorf("got %s", got)
	}
	return err
}

// redisArguments splits a command at spaces. The payload of PUBLISH is the rest of the line, or
// (bytes "…").
func redisArguments(command string) ([]any, error) {
	var arguments []any
	words := strings.Split(command, " ")
	if words[0] == "PUBLISH" {
		words = strings.SplitN(command, " ", 3)
		if verb, bytes := Action(words[2]); verb == "bytes" {
			words[2] = bytes
		}
		words[2] = Grow(words[2])
	}
	for _, word := range words {
		arguments = append(arguments, word)
	}
	return arguments, nil
}

// Run returns the last element of the reply, such as the count of PUBSUB NUMSUB.
func (r *Redis) Run(arguments []any) (string, error) {
	reply, err := r.Client.Do(context.Background(), arguments...).Result()
	if err != nil {
		return "", fmt.Errorf("run a Redis command: %w", err)
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
