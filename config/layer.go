package config

import (
	"fmt"
	"strings"
)

// layer is the values of one source of configuration, in the types of Config.
type layer struct {
	values map[string]any
	origin map[string]string // key → place, such as config/catenary.yml:12
}

func newLayer() *layer {
	return &layer{values: map[string]any{}, origin: map[string]string{}}
}

func (l *layer) set(key string, value any, origin string) {
	l.values[key], l.origin[key] = value, origin
}

// placesOfRedis are the keys below broadcasts.redis that say where Redis is. A layer that has one
// of them replaces all keys of whereRedisIs: one layer's url with another layer's password would
// mix two servers.
var (
	placesOfRedis = []string{"url", "host", "path", "cluster", "sentinels"}
	whereRedisIs  = append(placesOfRedis, "port", "db", "username", "password", "master_name")
)

func (l *layer) saysWhereRedisIs() bool {
	for _, key := range placesOfRedis {
		if _, ok := l.values["broadcasts.redis."+key]; ok {
			return true
		}
	}
	return false
}

// tree turns dotted keys into the nested maps that viper merges.
func (l *layer) tree() map[string]any {
	root := map[string]any{}
	for key, value := range l.values {
		at, parts := root, strings.Split(key, ".")
		for _, part := range parts[:len(parts)-1] {
			next, ok := at[part].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[part] = next
			}
			at = next
		}
		at[parts[len(parts)-1]] = value
	}
	return root
}

// mistake is the error for a value: its place, its key, what is wrong, and what to do.
func mistake(place, key string, err error) error {
	return fmt.Errorf("%s: %s: %w", place, key, err)
}
