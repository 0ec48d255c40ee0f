package broadcast

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/tidwall/redcon"
)

const benchmarkPayload = `{"message":"<turbo-stream action=\"append\" target=\"messages\">` +
	`<template><p>Good morning, and welcome to the room.</p></template></turbo-stream>","at":1790000000}`

// BenchmarkRedis_Deliver measures the whole path: pipelined PUBLISH, redis-server, listener,
// deliver.
func BenchmarkRedis_Deliver(b *testing.B) {
	server := startRedis(b)
	benchmarkDeliver(b, newRedis(b, RedisOptions{URL: server.url()}), server.address())
}

func benchmarkDeliver(b *testing.B, s source, address string) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	delivered, last := 0, make(chan struct{})
	go func() {
		ended <- s.Run(ctx, func(string, []byte) {
			if delivered++; delivered == b.N {
				close(last)
			}
		})
	}()
	defer func() { stop(); <-ended }()
	acknowledged := make(chan struct{})
	s.Subscribe("room", func() { close(acknowledged) })
	<-acknowledged
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	go func() { _, _ = io.Copy(io.Discard, conn) }()
	one := redcon.AppendArray(nil, 3)
	for _, arg := range []string{"PUBLISH", "room", benchmarkPayload} {
		one = redcon.AppendBulkString(one, arg)
	}
	const batch = 100
	b.SetBytes(int64(len(benchmarkPayload)))
	b.ReportAllocs()
	b.ResetTimer()
	for sent := 0; sent < b.N; sent += batch {
		if _, err := conn.Write(bytes.Repeat(one, min(batch, b.N-sent))); err != nil {
			b.Fatal(err)
		}
	}
	<-last
}

// BenchmarkRead_Ours and BenchmarkRead_GoRedisPubSub read the same messages. The difference is why
// the listener has its own reader.
func BenchmarkRead_Ours(b *testing.B) {
	address := serveMessages(b)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("SUBSCRIBE room\r\n")); err != nil {
		b.Fatal(err)
	}
	reader := newPushReader(conn, 16<<20)
	b.ReportAllocs()
	for b.Loop() {
		if message, err := reader.read(); err != nil || message.payload == nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead_GoRedisPubSub(b *testing.B) {
	c := redis.NewClient(&redis.Options{Addr: serveMessages(b), Protocol: 2, DisableIdentity: true})
	defer c.Close()
	pubsub := c.Subscribe(context.Background(), "room")
	defer pubsub.Close()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := pubsub.Receive(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

// serveMessages sends the same message forever to its first subscriber.
func serveMessages(b *testing.B) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = listener.Close() })
	one := redcon.AppendArray(nil, 3)
	for _, arg := range []string{"message", "room", benchmarkPayload} {
		one = redcon.AppendBulkString(one, arg)
	}
	many := bytes.Repeat(one, 1000)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		commands := redcon.NewReader(conn)
		for {
			command, err := commands.ReadCommand()
			if err != nil {
				return
			}
			if strings.EqualFold(string(command.Args[0]), "subscribe") {
				break
			}
			_, _ = conn.Write([]byte("-ERR unknown command\r\n"))
		}
		for err == nil {
			_, err = conn.Write(many)
		}
	}()
	return listener.Addr().String()
}
