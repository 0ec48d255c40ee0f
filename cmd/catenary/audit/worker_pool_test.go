package audit

import "testing"

func TestWorkerPool_SizeHasNoEffect(t *testing.T) {
	report := auditOf(t, aChannel, "class AChannel < ApplicationCable::Channel\nend", "config/environments/production.rb", "Rails.application.configure do\n config.action_cable.worker_pool_size = 8\nend")
	expect(t, "size", report.Application, "worker pool:2 worker_pool_size")
}
