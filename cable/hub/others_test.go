package hub

import (
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cable/socket"
	"github.com/catenary-cable/catenary/protocol"
)

// A token, and the mark that the gem appends for it; rpc/rails/test/others_test.rb has the same.
const (
	pageToken = "0123456789abcdef"
	pageMark  = "\t \t \r\n\r\n\n\t\r\r\n\t\r\r\t\t \t \t \t\r\r\t\r\n\r \n\t\r\n\n\t\r\n "
)

func TestMark_IsCutOff(t *testing.T) {
	payload, page := CutPage([]byte(`{"a":1}` + pageMark))
	if string(payload) != `{"a":1}` || page != socket.PageOf(pageToken) || page == 0 {
		t.Errorf("got %q without page %x", payload, page)
	}
}

func TestMark_OtherWhitespaceStays(t *testing.T) {
	for _, text := range []string{
		"", " ", "1", "{}\n", pageMark[1:], "{}" + pageMark + " ", "{}" + strings.Repeat(" ", 100),
		"{}" + strings.Replace(pageMark, "\r\n", "\r\r", 1), "{}" + pageMark[:20] + "x" + pageMark[21:],
	} {
		payload, page := CutPage([]byte(text))
		if string(payload) != text || page != 0 {
			t.Errorf("%q: got %q without page %x", text, payload, page)
		}
	}
}

func TestMarks_KeepTheOrder(t *testing.T) {
	batch := [][]byte{[]byte("1"), []byte("2"), []byte("3" + pageMark), []byte("4" + pageMark), []byte("5")}
	marks := cutMarks(batch)
	var got []string
	for i := 0; i < len(batch); {
		n, except := marks.run(i, len(batch))
		text := ""
		for _, payload := range batch[i : i+n] {
			text += string(payload)
		}
		if except != 0 {
			text += " for others"
		}
		got = append(got, text)
		i += n
	}
	if all := strings.Join(got, ", "); all != "12, 34 for others, 5" {
		t.Error(all)
	}
}

// From any payload, CutPage removes only whitespace.
func FuzzCutMark(f *testing.F) {
	f.Add([]byte("{}" + pageMark))
	f.Fuzz(func(t *testing.T, payload []byte) {
		rest, _ := CutPage(payload)
		cut := string(payload[len(rest):])
		if strings.Trim(cut, protocol.TrailerDigits) != "" || string(rest) != string(payload[:len(rest)]) {
			t.Errorf("%q: cut off %q", payload, cut)
		}
	})
}

func TestPageOf_RejectsWhatCouldBeGuessed(t *testing.T) {
	for _, token := range []string{"", "0123456789abcde", strings.Repeat("x", 129)} {
		if page := socket.PageOf(token); page != 0 {
			t.Errorf("%q: page %x", token, page)
		}
	}
}
