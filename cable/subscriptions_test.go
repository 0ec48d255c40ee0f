package cable

import (
	"fmt"
	"testing"
)

func BenchmarkSubscriptionsOfOneConnection(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(fmt.Sprintf("subscriptions=%d", n), func(b *testing.B) {
			var s subscriptions
			for i := range n {
				s.add(&subscription{identifier: fmt.Sprint("a", i)})
			}
			b.ReportAllocs()
			for b.Loop() {
				s.find("a0")
				one := &subscription{identifier: "b"}
				s.add(one)
				s.remove(one)
			}
		})
	}
}
