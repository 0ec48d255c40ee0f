package stats

import (
	"fmt"
	"testing"
)

func TestChannels_AreBounded(t *testing.T) {
	var channels Channels
	for i := range 3 * maxChannels {
		channels.Of(fmt.Sprint("Channel", i)).Rejections.Add(1)
	}
	channels.Of("Channel0").Rejections.Add(1)
	channels.Of("").Exceptions.Add(1)
	channels.Of("Bad\xffChannel").Exceptions.Add(1)
	counts := channels.Counts()
	if len(counts) != maxChannels+1 || counts["Channel0"].Rejections != 2 {
		t.Errorf("%d channels, %+v", len(counts), counts["Channel0"])
	}
	if want := (ChannelCounts{Rejections: 2 * maxChannels, Exceptions: 2}); counts["other"] != want {
		t.Errorf("other: %+v", counts["other"])
	}
}
