# bin/rails catenary:audit
namespace :catenary do
  desc "Report what each channel runs as behind catenary (FORMAT=json)"
  task audit: :environment do
    require "catenary/rails/audit"
    text, fails = Catenary::Rails::Audit.run(json: ENV["FORMAT"] == "json")
    print text
    exit 1 if fails
  end
end
