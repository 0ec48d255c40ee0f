package socket

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestDeflate_LeavesShortAndIncompressibleFrames(t *testing.T) {
	short, long := frame(textFrame, "short"), frame(textFrame, strings.Repeat("long ", 20_000))
	noise := make([]byte, 5000)
	for i := range noise {
		noise[i] = byte(rand.IntN(256))
	}
	whole := bytes.Join([][]byte{short, long, frame(textFrame, noise), short}, nil)
	got := Deflate(whole)
	if !bytes.HasPrefix(got, short) || !bytes.HasSuffix(got, append(frame(textFrame, noise), short...)) || len(got) > 6000 {
		t.Fatalf("%d bytes became %d", len(whole), len(got))
	}
	head, size := readFrameHead(got[len(short):])
	if first := got[len(short)]; first != textFrame|deflated {
		t.Errorf("the long frame begins with %x", first)
	}
	compressed := got[len(short)+head:][:size]
	text, err := io.ReadAll(flate.NewReader(bytes.NewReader(append(compressed[:size:size], 0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff))))
	if err != nil || !bytes.Equal(text, long[len(long)-100_000:]) {
		t.Errorf("it decompressed to %d bytes: %v", len(text), err)
	}
}

func BenchmarkDeflate(b *testing.B) {
	for _, size := range []int{600, 2000, 20_000} {
		var html strings.Builder
		for i := 0; html.Len() < size; i++ {
			fmt.Fprintf(&html, `<div id=\"message_%d\" class=\"message\"><b>ada</b> <span>the wire hangs over the rails, %x</span></div>`, i, rand.Uint64())
		}
		whole := frame(textFrame, html.String()[:size])
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			var compressed int
			for b.Loop() {
				compressed = len(Deflate(whole))
			}
			b.ReportMetric(float64(compressed)/float64(len(whole)), "of-its-length")
		})
	}
}
