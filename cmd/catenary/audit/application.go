package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Bounds against folders that are no application.
const (
	maxFiles    = 200_000
	maxFileSize = 1 << 19 // bytes; longer files are passed over
)

// skipped are folders that have no code of the application's that runs in
// production.
var skipped = map[string]bool{
	"node_modules": true, "vendor": true, "tmp": true, "log": true, "public": true, "spec": true, "test": true, "features": true,
	"db": true, "storage": true, "coverage": true,
}

// An application is the Ruby of a Rails app, with its classes.
type application struct {
	root    string
	sources []*source          // that an audit can say something about
	classes map[string]*class  // by name
	byPath  map[string]string  // files by what autoloads from them, such as chats/room_channel
	read    map[string]*source // by path
	notes   []Note
	graphql bool // a schema subscribes over Action Cable
}

// A Note is something that audit could not do.
type Note struct {
	File string `json:"file"`
	Line int    `json:"line,omitempty"`
	Text string `json:"text"`
}

// open reads an application, named by its root or by its app/channels.
func open(path string) (*application, error) {
	root, err := rootOf(path)
	if err != nil {
		return nil, err
	}
	a := &application{root: root, classes: map[string]*class{}, byPath: map[string]string{}, read: map[string]*source{}}
	files, err := a.files()
	if err != nil {
		return nil, fmt.Errorf("audit: reading %s: %w", path, err)
	}
	channels := false
	for _, file := range files {
		if strings.Contains("/"+file, "/app/channels/") {
			channels = true
			a.load(file)
		} else {
			a.loadIfSpeaking(file)
		}
	}
	if !channels {
		return nil, fmt.Errorf("audit: %s has no app/channels: name a Rails application's folder, or its app/channels", path)
	}
	return a, nil
}

// inChannels says whether a file is a channel's, a connection's or a helper's
// beside them.
func inChannels(s *source) bool { return strings.Contains("/"+s.path, "/app/channels/") }

func rootOf(path string) (string, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("audit: there is no %s: name a Rails application's folder, or its app/channels", path)
	}
	if err != nil {
		return "", fmt.Errorf("audit: looking at the application: %w", err)
	}
	if !info.IsDir() {
		return "", fmt.Errorf("audit: %s is no folder: name a Rails application's folder, or its app/channels", path)
	}
	root, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("audit: finding %s: %w", path, err)
	}
	if strings.HasSuffix(filepath.ToSlash(root), "/app/channels") {
		return filepath.Dir(filepath.Dir(root)), nil
	}
	return root, nil
}

// files are the Ruby files below the root, and the index for autoloading.
func (a *application) files() ([]string, error) {
	var files []string
	err := filepath.WalkDir(a.root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if path != a.root && (skipped[name] || strings.HasPrefix(name, ".")) {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(name) != ".rb" || !entry.Type().IsRegular() {
			return nil
		}
		relative, err := filepath.Rel(a.root, path)
		if err != nil {
			return err
		}
		relative = filepath.ToSlash(relative)
		if files = append(files, relative); len(files) > maxFiles {
			return fmt.Errorf("more than %d Ruby files: this is no Rails application", maxFiles)
		}
		if key := autoloads(relative); key != "" && a.byPath[key] == "" {
			a.byPath[key] = relative
		}
		return nil
	})
	return files, err
}

// autoloads is what Rails' autoloader makes of a path, without .rb: what
// stands below app/anything, app/anything/concerns or lib.
func autoloads(path string) string {
	path = strings.TrimSuffix("/"+path, ".rb")
	if i := strings.LastIndex(path, "/app/"); i >= 0 {
		_, below, found := strings.Cut(path[i+len("/app/"):], "/")
		if !found {
			return ""
		}
		return strings.TrimPrefix(below, "concerns/")
	}
	if i := strings.LastIndex(path, "/lib/"); i >= 0 {
		return path[i+len("/lib/"):]
	}
	return ""
}

// spoken are the words of which one must stand in a file outside of
// app/channels for a rule to say anything.
var spoken = [][]byte{[]byte("ActionCable"), []byte("action_cable"), []byte("Turbo::StreamsChannel"), []byte("open_connections_statistics")}

func (a *application) loadIfSpeaking(path string) {
	code, ok := a.contents(path)
	if ok && slices.ContainsFunc(spoken, func(word []byte) bool { return bytes.Contains(code, word) }) {
		a.sources = append(a.sources, a.outline(path, code))
	}
}

// load reads a file and notes the classes in it.
func (a *application) load(path string) {
	if s, known := a.read[path]; known && slices.Contains(a.sources, s) {
		return
	}
	if code, ok := a.contents(path); ok {
		a.sources = append(a.sources, a.outline(path, code))
	}
}

func (a *application) outline(path string, code []byte) *source {
	if s := a.read[path]; s != nil {
		return s
	}
	s := outline(path, string(code))
	a.read[path] = s
	if s.broken > 0 {
		a.notes = append(a.notes, Note{path, s.broken, "audit lost the nesting of this file here: look at it yourself"})
	}
	for _, c := range s.scopes {
		if c.keyword == "class" || c.keyword == "module" {
			a.define(part{s, c})
		}
	}
	return s
}

func (a *application) contents(path string) ([]byte, bool) {
	full := filepath.Join(a.root, filepath.FromSlash(path))
	info, err := os.Stat(full)
	if err == nil && info.Size() > maxFileSize {
		a.notes = append(a.notes, Note{path, 0, fmt.Sprintf("longer than %d bytes: not read", maxFileSize)})
		return nil, false
	}
	code, err := os.ReadFile(full)
	if err != nil {
		a.notes = append(a.notes, Note{path, 0, fmt.Sprintf("not read: %v", err)})
		return nil, false
	}
	return code, true
}

func (a *application) define(p part) {
	name := p.scope.qualified()
	c := a.classes[name]
	if c == nil {
		c = &class{name: name, module: p.scope.keyword == "module"}
		a.classes[name] = c
	}
	if p.scope.superclass != "" {
		c.superclass = p.scope.superclass
	}
	c.parts = append(c.parts, p)
	c.includes = append(c.includes, p.included()...)
}
