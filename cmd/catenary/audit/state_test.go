package audit

import "testing"

func TestUnserialisable_IsWhatNeitherJobsNorMarshalCanWrite(t *testing.T) {
	for code, want := range map[string]string{
		"@a = 1": "", "@a = Room.find(1)": "", "@a = params[:a]": "", "@a ||= {}": "", "@a = Set.new": "", "@a = Room.new": "",
		"@a == Mutex.new": "", "@a = Mutex": "", "a = Mutex.new": "", "@a = File.read('x')": "", "@a = File.open('x').read": "",
		"@a = Mutex.new":                        "@a = a Mutex",
		"@a ||= Thread::Mutex.new":              "@a = a Thread::Mutex",
		"@a = ::Monitor.new if x":               "@a = a Monitor",
		"@a = Thread.new do\n 1\nend":           "@a = a Thread",
		"@a = Thread.new { 1 }.value":           "",
		"@a = File.open('x')":                   "@a = a File",
		"@a = x ? nil : Queue.new":              "@a = a Queue",
		"@a = @b || (SizedQueue.new(1))":        "@a = a SizedQueue",
		"@a = StringIO.new":                     "@a = a StringIO",
		"@a = -> { 1 }":                         "@a = a Proc",
		"@a = ->(x) do\n 1\nend":                "@a = a Proc",
		"@a = lambda { |x| 1 }":                 "@a = a Proc",
		"@a = proc do\n 1\nend":                 "@a = a Proc",
		"@a = Proc.new { 1 }":                   "@a = a Proc",
		"@a = -> { 1 }.call":                    "",
		"@a = method(:b)":                       "@a = a Method",
		"@a = method(:b).call":                  "",
		"@a = Hash.new { |h, k| h[k] = [] }":    "@a = Hash.new with a block",
		"@a = Hash.new(0)":                      "",
		"@a = Concurrent::AtomicFixnum.new":     "@a = a Concurrent::AtomicFixnum",
		"@a = Concurrent::Map.new":              "",
		"@a = Concurrent::Map.new { |m, k| 1 }": "@a = a Concurrent::Map",
		"@a = Concurrent::TimerTask.execute(execution_interval: 1) { 1 }": "@a = a Concurrent::TimerTask",
		"@a = Room.where(a: 1)":                                  "@a = a relation",
		"@a = current_user.rooms\n  .where(a: 1)\n  .order(:id)": "@a = a relation",
		"@a = Room.all":                                          "@a = a relation",
		"@a = Room.where(a: 1).load":                             "@a = a relation",
		"@a = Room.where.not(a: 1)":                              "@a = a relation",
		"@a = Room.where(a: 1) || []":                            "@a = a relation",
		"@a = Room.where(a: 1).to_a":                             "",
		"@a = Room.where(a: 1).map { |r| r.id }":                 "",
		"@a = Room.where(a: 1)[0]":                               "",
		"@a = YAML.load(x)":                                      "",
		"@a = list.all":                                          "",
		"@a = Room.where(a: 1).count + 1":                        "",
		"@r, @w, @pid = PTY.spawn('sh')":                         "@r = a PTY",
		"@a = @b = Mutex.new":                                    "@a = a Mutex",
	} {
		s := channelOf(t, "def subscribed\n"+code+"\nend")
		got := ""
		for _, f := range s.Findings {
			if f.Rule == "unserialisable state" && got == "" {
				got = f.Code
			}
		}
		if got != want {
			t.Errorf("%s\n got %q\nwant %q", code, got, want)
		}
	}
}

func TestUnserialisable_IsStateOfObjectsAndNotOfClasses(t *testing.T) {
	const rule = "unserialisable state"
	expect(t, "class level", channelOf(t, "@lock = Mutex.new\nLOCK = Mutex.new\nclass << self\n def lock\n  @lock ||= Mutex.new\n end\nend\ndef self.other\n @lock = Mutex.new\nend").Findings)
	expect(t, "callback", channelOf(t, "before_subscribe { @lock = Mutex.new }\non_subscribe do\n @a, @b = 1, Queue.new\nend").Findings,
		rule+":2 @lock = a Mutex", rule+":4 @b = a Queue")
	expect(t, "writer", channelOf(t, "attr_accessor :lock\ndef subscribed\n self.lock = Mutex.new\n self.other = Mutex.new\nend").Findings, rule+":4 @lock = a Mutex")
}

func TestUnserialisable_IsFoundInMethodsWithoutEnd(t *testing.T) {
	expect(t, "endless", channelOf(t, "def lock = @lock ||= Mutex.new\ndef many = list.each { |x| @a = Queue.new }\n@b = Mutex.new").Findings,
		"unserialisable state:2 @lock = a Mutex", "unserialisable state:3 @a = a Queue")
}

func TestUnserialisable_LooksIntoObjectsOfTheApplications(t *testing.T) {
	for code, want := range map[string]string{
		"@a = Desk.new(1)":            "@a = a Desk, which keeps a Mutex",
		"@a = Desk.new(1).name":       "",
		"@a = Paper.new":              "",
		"@a = Own.new":                "",
		"@a = Clerk.new(self)":        "@a = a Clerk, which is given the channel",
		"@a ||= Clerk.new(for: self)": "@a = a Clerk, which is given the channel",
		"@a = Clerk.new(self.class)":  "",
	} {
		s := channelOf(t, "def subscribed\n"+code+"\nend",
			"app/models/desk.rb", "class Desk\n def initialize(x)\n  @lock = Mutex.new\n end\nend",
			"app/models/paper.rb", "class Paper\n LOCK = Mutex.new\n def initialize\n  @text = ''\n end\nend",
			"app/models/own.rb", "class Own\n def lock = @lock ||= Mutex.new\n def marshal_dump = []\nend")
		if got := told(s.Findings); want == "" && len(got) > 0 || want != "" && (len(got) != 1 || got[0] != "unserialisable state:3 "+want) {
			t.Errorf("%s\n got %q\nwant %q", code, got, want)
		}
	}
}
