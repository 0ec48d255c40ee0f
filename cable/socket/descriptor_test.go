//go:build linux

package socket

import (
	"bytes"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cable/internal/patience"
	"github.com/catenary-cable/catenary/cable/socket/descriptor"
)

// bare returns a socket with a Descriptor, and its browser.
func bare(t *testing.T) (*Socket, *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	browser, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { browser.Close() })
	browser.SetDeadline(time.Now().Add(patience.Deadline))
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	file, err := conn.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fd, err := syscall.Dup(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	s := &Socket{}
	s.Init(&Sockets{limits: Limits{PendingBytes: 1 << 30, Unanswered: time.Minute}}, nil)
	s.Attach(Descriptor{FD: fd})
	s.Uncork()
	t.Cleanup(func() { s.Close() })
	return s, browser.(*net.TCPConn)
}

func TestDescriptor_SendsWhatTheKernelDoesNotTakeAtOnce(t *testing.T) {
	s, browser := bare(t)
	var sent []byte
	for i := range 20_000 {
		frame := bytes.Repeat([]byte{byte(i)}, 1+i%2_000)
		sent = append(sent, frame...)
		s.Send(frame)
		s.Send(nil)
	}
	received := make([]byte, len(sent))
	if _, err := io.ReadFull(browser, received); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(received, sent) {
		t.Error("the browser received something else")
	}
}

func TestDescriptor_IsClosedDuringAWriteAndOnlyOnce(t *testing.T) {
	s, _ := bare(t)
	for range 100 {
		s.Send(make([]byte, 1<<20))
	}
	s.Close()
	other, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0) // may get the same descriptor
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if err := syscall.Close(other); err != nil {
		t.Errorf("the second Close has closed another's descriptor: %v", err)
	}
}

func TestDescriptor_TellsTheEndFromNothingYet(t *testing.T) {
	s, browser := bare(t)
	buffer := make([]byte, 10)
	if n, err := descriptor.Read(int(s.fd), buffer); n != 0 || err != nil {
		t.Errorf("nothing yet: got %d, %v", n, err)
	}
	browser.CloseWrite()
	for deadline := time.Now().Add(patience.Deadline); ; time.Sleep(time.Millisecond) {
		n, err := descriptor.Read(int(s.fd), buffer)
		if err == io.EOF {
			break
		}
		if n != 0 || err != nil || time.Now().After(deadline) {
			t.Fatalf("got %d, %v instead of the end", n, err)
		}
	}
	if reason, _ := endReason(syscall.ECONNRESET); reason != "browser_lost" {
		t.Errorf("a reset is %s", reason)
	}
}

func TestAttach_TakesNoDescriptorFromAClosedConnection(t *testing.T) {
	_, browser := bare(t)
	if fd, _ := descriptorOf(browser); fd < 0 {
		t.Errorf("open: got %d", fd)
	}
	browser.Close()
	if fd, _ := descriptorOf(browser); fd >= 0 {
		t.Errorf("closed: got %d", fd)
	}
}
